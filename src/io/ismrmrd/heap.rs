//! HDF5's global heap, where variable-length values live.
//!
//! `hdf5-pure` hands out compound records raw: a variable-length member is a reference of element
//! count, collection address and object index. This resolves it over the file's bytes.
//! Layout: HDF5 File Format Specification 3.0, section III.E "Disk Format: Level 1E - Global Heap".

use std::collections::HashMap;
use std::ops::Range;

/// Signature, version, three reserved bytes; the collection's size follows.
const PREFIX: usize = 8;

/// The collections of one file, indexed as they are first used.
pub(super) struct GlobalHeap<'a> {
    file: &'a [u8],
    /// Where address 0 is in the file (behind a user block).
    base: u64,
    offset_size: usize,
    length_size: usize,
    collections: HashMap<u64, HashMap<u16, Range<usize>>>,
    /// Bytes of all collections so far: they do not overlap, so these are no more than the file has.
    indexed: usize,
    /// Bytes handed out so far: each value has an object of its own, so these too.
    resolved: usize,
}

impl<'a> GlobalHeap<'a> {
    pub(super) fn new(file: &'a [u8], base: u64, offset_size: usize, length_size: usize) -> Self {
        GlobalHeap { file, base, offset_size, length_size, collections: HashMap::new(), indexed: 0, resolved: 0 }
    }

    /// Bytes of one reference.
    pub(super) fn reference_size(&self) -> usize {
        4 + self.offset_size + 4
    }

    /// The bytes a reference points at: its element count times `element_size`.
    pub(super) fn resolve(&mut self, reference: &[u8], element_size: usize) -> Result<&'a [u8], String> {
        if reference.len() < self.reference_size() {
            return Err("a variable-length reference is cut short".into());
        }
        let count = little_endian(&reference[..4]);
        let address = little_endian(&reference[4..4 + self.offset_size]);
        let index = little_endian(&reference[4 + self.offset_size..self.reference_size()]);
        if count == 0 {
            return Ok(&[]);
        }
        if !self.collections.contains_key(&address) {
            let objects = self.index_collection(address)?;
            self.collections.insert(address, objects);
        }
        let object = u16::try_from(index)
            .ok()
            .and_then(|index| self.collections.get(&address)?.get(&index))
            .ok_or_else(|| format!("heap collection at {address} has no object {index}"))?;
        let bytes = &self.file[object.clone()];
        let value = usize::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(element_size))
            .and_then(|needed| bytes.get(..needed))
            .ok_or_else(|| {
                format!(
                    "heap object {index} at {address} has {} bytes, expected {count} elements of {element_size}",
                    bytes.len()
                )
            })?;
        self.resolved = self.resolved.saturating_add(value.len());
        if self.resolved > self.file.len() {
            return Err(format!("heap object {index} at {address} stands for more than one value; each has its own"));
        }
        Ok(value)
    }

    /// Object index → place in the file, for the collection at `address`.
    fn index_collection(&mut self, address: u64) -> Result<HashMap<u16, Range<usize>>, String> {
        let damaged = |what: &str| format!("damaged heap collection at {address}: {what}");
        let collection = address
            .checked_add(self.base)
            .and_then(|start| usize::try_from(start).ok())
            .and_then(|start| Some((start, self.file.get(start..)?)));
        let Some((start, bytes)) = collection else {
            return Err(damaged("it lies outside the file"));
        };
        let header = PREFIX + self.length_size;
        if bytes.len() < header || &bytes[..4] != b"GCOL" {
            return Err(damaged("no GCOL signature"));
        }
        if bytes[4] != 1 {
            return Err(damaged(&format!("version {}, expected 1", bytes[4])));
        }
        let size = usize::try_from(little_endian(&bytes[PREFIX..header])).unwrap_or(usize::MAX);
        let bytes = bytes.get(..size).ok_or_else(|| damaged("it is longer than the file"))?;
        self.indexed = self.indexed.saturating_add(size);
        if self.indexed > self.file.len() {
            return Err(damaged("it overlaps another"));
        }
        let object_header = 8 + self.length_size;
        let mut objects = HashMap::new();
        let mut position = header;
        // Less than an object header left over is padding; index 0 is the free space at the end.
        while let Some(head) = bytes.get(position..position.saturating_add(object_header)) {
            let index = u16::from_le_bytes([head[0], head[1]]);
            if index == 0 {
                break;
            }
            let length = usize::try_from(little_endian(&head[8..])).unwrap_or(usize::MAX);
            let data = position + object_header;
            let end = data.checked_add(length).filter(|&end| end <= bytes.len());
            let Some(end) = end else {
                return Err(damaged(&format!("object {index} does not fit")));
            };
            objects.insert(index, start + data..start + end);
            position = data + length.next_multiple_of(8);
        }
        Ok(objects)
    }
}

/// Up to eight bytes as an unsigned number.
pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte))
}

/// One collection holding `objects`, for tests.
#[cfg(test)]
pub(super) fn collection(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        body.extend((i as u16 + 1).to_le_bytes());
        body.extend([1, 0, 0, 0, 0, 0]);
        body.extend((object.len() as u64).to_le_bytes());
        body.extend(object);
        body.resize(body.len().next_multiple_of(8), 0);
    }
    // The free space object: index 0.
    body.extend([0; 16]);
    let mut bytes = b"GCOL\x01\0\0\0".to_vec();
    bytes.extend((16 + body.len() as u64).to_le_bytes());
    bytes.extend(body);
    bytes
}

/// A reference to an object of a collection, for tests.
#[cfg(test)]
pub(super) fn reference(count: u32, address: u64, index: u32) -> Vec<u8> {
    [&count.to_le_bytes()[..], &address.to_le_bytes(), &index.to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut file = vec![0; 24];
        file.extend(collection(&[vec![1, 2, 3, 4, 5], vec![9; 16]]));
        file
    }

    #[test]
    fn resolves_objects_behind_a_user_block() {
        let file = sample();
        let mut heap = GlobalHeap::new(&file, 16, 8, 8);
        assert_eq!(heap.resolve(&reference(5, 8, 1), 1).unwrap(), [1, 2, 3, 4, 5]);
        assert_eq!(heap.resolve(&reference(2, 8, 2), 4).unwrap(), [9; 8]);
        assert!(heap.resolve(&reference(0, 999, 7), 4).unwrap().is_empty());
    }

    #[test]
    fn no_more_is_handed_out_than_the_file_has() {
        let file = sample();
        let mut heap = GlobalHeap::new(&file, 0, 8, 8);
        let once = reference(4, 24, 2);
        assert!((0..file.len() / 16).all(|_| heap.resolve(&once, 4).is_ok()));
        assert!(heap.resolve(&once, 4).unwrap_err().contains("more than one value"));
        // Collections one inside the other, each claiming the rest of the file.
        let mut nested = Vec::new();
        for i in 0..4u64 {
            nested.extend(*b"GCOL\x01\0\0\0");
            nested.extend((96 - 24 * i).to_le_bytes());
            nested.extend([0; 8]);
        }
        let mut heap = GlobalHeap::new(&nested, 0, 8, 8);
        assert!(heap.resolve(&reference(1, 0, 1), 1).unwrap_err().contains("no object"));
        assert!(heap.resolve(&reference(1, 24, 1), 1).unwrap_err().contains("overlaps"));
    }

    #[test]
    fn damage_is_an_error() {
        let file = sample();
        let error =
            |file: &[u8], reference: Vec<u8>| GlobalHeap::new(file, 0, 8, 8).resolve(&reference, 4).unwrap_err();
        assert!(error(&file, reference(5, 24, 2)).contains("has 16 bytes"));
        assert!(error(&file, reference(1, 24, 3)).contains("no object 3"));
        assert!(error(&file, reference(1, 0, 1)).contains("GCOL"));
        assert!(error(&file, reference(1, u64::MAX, 1)).contains("outside"));
        assert!(error(&file[..40], reference(1, 24, 1)).contains("longer"));
        let mut long = file.clone();
        long[24 + 16 + 8] = 0xff;
        assert!(error(&long, reference(1, 24, 1)).contains("does not fit"));
        assert!(error(&file, vec![1, 0, 0]).contains("cut short"));
    }
}
