//! What a dataset claims to hold, against the length of its file.
//!
//! The reader crate takes memory for what a dataset claims before it looks whether the file has it, so a file of some
//! kilobytes may ask for any number of gigabytes.

use hdf5_pure::{Dataset, Layout};

/// How many times its length in the file a filtered dataset may be. A record of ISMRMRD has 340 bytes and the samples that it
/// points at, which are never filtered, at least 24: even if all records took no place at all it would be 15.
const COMPRESSION: u64 = 64;

/// The bytes of all elements, if a file of `length` bytes can hold them.
pub(super) fn bytes(dataset: &Dataset, length: u64) -> Result<u64, String> {
    let unreadable = |e: hdf5_pure::Error| e.to_string();
    let shape = dataset.shape().map_err(unreadable)?;
    let size = dataset.element_size().map_err(unreadable)?;
    let product = |extents: &[u64]| extents.iter().try_fold(size, |n, &extent| n.checked_mul(extent));
    let expect = |what: &str, extents: &[u64], most: u64| match product(extents).filter(|bytes| *bytes <= most) {
        Some(bytes) => Ok(bytes),
        None => Err(format!("{what} of {extents:?} elements of {size} bytes, but the file has only {length} bytes")),
    };
    let layout = dataset.layout().map_err(unreadable)?;
    let most = match &layout {
        Layout::Contiguous { address: None, .. } if product(&shape) != Some(0) => {
            return Err(format!("claims {shape:?} elements, but none were ever written"));
        }
        Layout::Compact { .. } | Layout::Contiguous { .. } => length,
        Layout::Chunked { chunk_shape, .. } => {
            let filtered = !dataset.filters().is_empty();
            let most = if filtered { length.saturating_mul(COMPRESSION) } else { length };
            // A chunk is made whole, even one that reaches far beyond the dataset.
            expect("has chunks", chunk_shape, most.max(1 << 20))?;
            most
        }
        _ => return Err(format!("is stored in a way that is not read: {layout}")),
    };
    expect("claims an extent", &shape, most)
}
