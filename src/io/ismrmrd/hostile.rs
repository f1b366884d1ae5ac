//! Tests on files that claim what they do not have.

use super::tests::{PLAIN, Storage, file, line, record_type};
use super::*;

const N: usize = 37;

/// A scan of N lines, each acquired so many times.
fn scan(times: usize, storage: Storage) -> Vec<u8> {
    let lines: Vec<_> = (0..times * N).map(|i| line(i % N, 16)).collect();
    file(&header::sample([16, N, 1], [16, N, 1], N / 2), &lines, storage)
}

fn read(bytes: &[u8]) -> Result<IsmrmrdScan> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.h5");
    std::fs::write(&path, bytes).unwrap();
    read_ismrmrd(&path, &ScanChoice::default())
}

fn error(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

/// Where the headers of objects lie that end in a checksum.
fn headers(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let at = (0..bytes.len().saturating_sub(40)).filter(|at| bytes[*at..].starts_with(b"OHDR\x02"));
    at.filter_map(|at| {
        let flags = bytes[at + 5];
        // Four times, and the bounds of attributes, each if there; then a length of 1, 2, 4 or 8 bytes.
        let length_at = at + 6 + if flags & 0x20 != 0 { 16 } else { 0 } + if flags & 0x10 != 0 { 4 } else { 0 };
        let width = 1 << (flags & 3);
        let length = heap::little_endian(bytes.get(length_at..length_at + width)?) as usize;
        let end = (length_at + width).checked_add(length)?;
        (end + 4 <= bytes.len()).then_some(at..end)
    })
    .collect()
}

/// Writes the checksums that belong to what the headers say now.
fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    for header in headers(&bytes) {
        let sum = lookup3(&bytes[header.clone()]).to_le_bytes();
        bytes[header.end..header.end + 4].copy_from_slice(&sum);
    }
    bytes
}

/// Bob Jenkins' `hashlittle`, with which HDF5 signs its headers.
fn lookup3(bytes: &[u8]) -> u32 {
    let mut s = [0xdead_beef_u32.wrapping_add(bytes.len() as u32); 3];
    let mut rest = bytes;
    while rest.len() > 12 {
        add(&mut s, rest);
        rest = &rest[12..];
        for (to, with, back, turn) in
            [(0, 2, 1, 4), (1, 0, 2, 6), (2, 1, 0, 8), (0, 2, 1, 16), (1, 0, 2, 19), (2, 1, 0, 4)]
        {
            s[to] = s[to].wrapping_sub(s[with]) ^ s[with].rotate_left(turn);
            s[with] = s[with].wrapping_add(s[back]);
        }
    }
    if rest.is_empty() {
        return s[2];
    }
    add(&mut s, rest);
    for (to, with, turn) in [(2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24)] {
        s[to] = (s[to] ^ s[with]).wrapping_sub(s[with].rotate_left(turn));
    }
    s[2]
}

fn add(s: &mut [u32; 3], bytes: &[u8]) {
    for (i, byte) in bytes.iter().take(12).enumerate() {
        s[i / 4] = s[i / 4].wrapping_add(u32::from(*byte) << (8 * (i % 4)));
    }
}

/// The file with the table's extent, or the extent of its chunks, changed.
fn claiming(bytes: &[u8], from: u64, to: u64, width: usize) -> Vec<u8> {
    let (from, to) = (from.to_le_bytes(), to.to_le_bytes());
    let mut bytes = bytes.to_vec();
    for header in headers(&bytes) {
        for at in header.start..header.end - width {
            if bytes[at..at + width] == from[..width] {
                bytes[at..at + width].copy_from_slice(&to[..width]);
            }
        }
    }
    signed(bytes)
}

/// In one piece; in chunks; in chunks that are filtered.
fn storages() -> [Storage; 4] {
    let with = |table| Storage { table, ..PLAIN };
    [
        PLAIN,
        with(|table| {
            table.with_chunks(&[8]);
        }),
        with(|table| {
            table.with_chunks(&[8]).with_shuffle().with_deflate(6);
        }),
        with(|table| {
            table.with_chunks(&[8]).with_lzf().with_fletcher32();
        }),
    ]
}

#[test]
fn every_storage_is_read() {
    for storage in storages() {
        let bytes = scan(1, storage);
        let IsmrmrdScan::Cartesian(scan) = read(&bytes).unwrap() else { panic!("not Cartesian") };
        assert_eq!(scan.kspace.shape(), [2, N, 16]);
        // The checksums here are those of HDF5.
        assert_eq!(signed(bytes.clone()), bytes);
        assert!(headers(&bytes).len() >= 4);
    }
}

#[test]
fn rows_are_bound_by_the_file() {
    for storage in storages() {
        let bytes = scan(1, storage);
        for rows in [1_000_000, 1_000_000_000, 1 << 58, u64::MAX / 3, u64::MAX] {
            let message = error(&claiming(&bytes, N as u64, rows, 8));
            assert!(message.contains("claims an extent") || message.contains("data:"), "{rows}: {message}");
        }
    }
}

#[test]
fn values_have_heap_objects_of_their_own() {
    for storage in storages() {
        assert!(read(&scan(20, storage)).is_ok());
        // Otherwise a file of some kilobytes has gigabytes of samples.
        let message = error(&scan(60, Storage { shared: true, ..storage }));
        assert!(message.contains("each has its own"), "{message}");
    }
}

#[test]
fn a_panic_of_the_reader_is_an_error() {
    let message = contained(Path::new("a.h5"), || -> Result<()> { panic!("overflow") }).unwrap_err().to_string();
    assert!(message.starts_with("a.h5: damaged"), "{message}");
}

#[test]
fn records_of_a_strange_size_are_errors() {
    let datatype = record_type();
    assert!(records::Layout::of(&datatype, 16, true).is_ok());
    assert!(records::Layout::of(&datatype, 64, true).is_err_and(|e| e.contains("beyond its record")));
}

/// Bits turned anywhere, and signed again so that they are looked at.
#[test]
fn damage_anywhere_is_an_error_or_nothing() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for storage in storages() {
        let good = scan(1, storage);
        for _ in 0..1500 {
            let mut bytes = good.clone();
            for _ in 0..1 + random % 3 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let bit = (random >> 20) as usize % (8 * bytes.len());
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            // Whatever comes, it comes back.
            let _ = read(&signed(bytes));
        }
    }
}
