//! How long a dispatch may take: drivers end what runs for longer than a second or two, and with it the device.
//!
//! A slow GPU, an integrated one of some years ago, moves some 50 GB/s and makes 1 Tflop/s. What is counted is bytes moved,
//! where so many flops count as one; nothing is assumed to be found in a cache.

/// Bytes that a slow GPU moves in a quarter of a second.
pub(crate) const WORK: u64 = 12 << 30;

/// Flops that take as long as moving a byte on such a GPU, at least.
pub(crate) const FLOPS_PER_BYTE: u64 = 16;

/// Work of one submission: half a second.
#[cfg(feature = "gpu")]
pub(crate) const SUBMISSION: u64 = 2 * WORK;

/// The work of so many bytes and flops.
pub(crate) fn work(bytes: u64, flops: u64) -> u64 {
    bytes.max(flops / FLOPS_PER_BYTE)
}
