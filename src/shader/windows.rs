//! Bound stretches of tensors.

/// Elements that every window starts at a multiple of: 256 bytes for the smallest element.
pub(crate) const ALIGN: u64 = 64;

/// A bound stretch of a tensor: flat element indices `first..first + len`. `guarded` where indices may lie outside of it,
/// which then read as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub first: u64,
    pub len: u64,
    pub guarded: bool,
}

/// A footprint within an operand: a read without valid indices touches nothing, and binds its first element.
pub(crate) fn clamp((low, high): (i64, i64), len: usize) -> (i64, i64) {
    let low = low.clamp(0, len as i64 - 1);
    (low, high.clamp(low, len as i64 - 1))
}

/// One window over a footprint (first and last element) if `bindable` elements hold it, else guarded ones side by side.
pub(crate) fn windows((low, high): (i64, i64), bindable: u64) -> Vec<Window> {
    let first = low.unsigned_abs() / ALIGN * ALIGN;
    let end = high.unsigned_abs() + 1;
    if end - first <= bindable + ALIGN {
        return vec![Window { first, len: end - first, guarded: false }];
    }
    let size = (bindable / ALIGN * ALIGN).max(ALIGN);
    let mut all = Vec::new();
    let mut at = first;
    while at < end {
        all.push(Window { first: at, len: size.min(end - at), guarded: true });
        at += size;
    }
    all
}
