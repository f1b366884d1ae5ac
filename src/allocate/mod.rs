//! Memory of a size that a user or a file has chosen: asked for in a way that can be refused.
//!
//! Where an ordinary allocation fails, the program ends without a word of ours.

pub(crate) mod spare;

use crate::error::{Error, Result};

/// What the rest of the program may need meanwhile.
const MARGIN: u64 = 8 << 20;

/// So many zeros.
pub(crate) fn zeroed<T: bytemuck::Zeroable>(n: usize) -> Result<Vec<T>> {
    had(|| bytemuck::allocation::try_zeroed_vec(n).ok(), bytes_of::<T>(n), "a buffer on the host")
}

/// So many values, whatever they are: for who writes them all. While the crate is tested they are NaN, so that what was not written
/// is seen.
pub(crate) fn unset<T: bytemuck::Pod>(n: usize) -> Result<Vec<T>> {
    let mut values = spare::take(n).map_or_else(|| zeroed(n), Ok)?;
    if cfg!(debug_assertions) {
        bytemuck::cast_slice_mut::<T, u8>(&mut values).fill(0xff);
    }
    Ok(values)
}

/// What `ask` gives; where there is no memory for it, once more when nothing is spare.
fn had<T>(mut ask: impl FnMut() -> Option<T>, bytes: u64, what: &str) -> Result<T> {
    loop {
        match ask() {
            Some(had) => return Ok(had),
            None if spare::give_up() => {}
            None => return Err(refused(bytes, what)),
        }
    }
}

/// These values, `n` of them, in a vector.
pub(crate) fn collected<T>(values: impl Iterator<Item = T>, n: usize) -> Result<Vec<T>> {
    let mut all = room_for(n, "a buffer on the host")?;
    all.extend(values);
    Ok(all)
}

/// An empty vector with room for `n` values of `what`.
pub(crate) fn room_for<T>(n: usize, what: &str) -> Result<Vec<T>> {
    let ask = || {
        let mut values = Vec::new();
        values.try_reserve_exact(n).is_ok().then_some(values)
    };
    had(ask, bytes_of::<T>(n), what)
}

/// Checks that so many bytes could be had now, beyond what is held already: before work that allocates in many places.
pub(crate) fn expect_room(bytes: u64, what: &str) -> Result<()> {
    let wanted = usize::try_from(bytes.saturating_add(MARGIN));
    let ask = || wanted.as_ref().is_ok_and(|n| Vec::<u8>::new().try_reserve_exact(*n).is_ok()).then_some(());
    had(ask, bytes, what)
}

fn bytes_of<T>(n: usize) -> u64 {
    (n as u64).saturating_mul(size_of::<T>() as u64)
}

fn refused(bytes: u64, what: &str) -> Error {
    Error::OutOfMemory(format!("{what} needs {:.1} MiB more", bytes as f64 / (1 << 20) as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T>(result: Result<T>) -> bool {
        result.is_err_and(|e| e.to_string().contains("out of memory: the sky needs"))
    }

    #[test]
    fn what_cannot_be_had_is_an_error() {
        assert!(expect_room(1 << 20, "a little").is_ok());
        assert!(refused(expect_room(u64::MAX, "the sky")));
    }

    #[test]
    fn zeros_are_had_or_refused() {
        assert_eq!(zeroed::<u64>(3), Ok(vec![0; 3]));
        let error = zeroed::<u64>(usize::MAX / 32).unwrap_err();
        assert!(error.to_string().contains("out of memory: a buffer on the host needs"), "{error}");
    }

    #[test]
    fn room_is_had_or_refused() {
        assert!(room_for::<u64>(1000, "a thousand").is_ok_and(|v| v.capacity() >= 1000));
        assert!(refused(room_for::<u64>(usize::MAX / 4, "the sky")));
        assert!(refused(room_for::<u64>(isize::MAX as usize / 8, "the sky")));
    }
}
