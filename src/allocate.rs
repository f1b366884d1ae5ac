//! Memory of a size that a user or a file has chosen: asked for in a way that can be refused.
//!
//! Where an ordinary allocation fails, the program ends without a word of ours.

use crate::error::{Error, Result};

/// What the rest of the program may need meanwhile.
const MARGIN: u64 = 8 << 20;

/// An empty vector with room for `n` values of `what`.
#[cfg(feature = "io")]
pub(crate) fn room_for<T>(n: usize, what: &str) -> Result<Vec<T>> {
    let mut values = Vec::new();
    match values.try_reserve_exact(n) {
        Ok(()) => Ok(values),
        Err(_) => Err(refused((n as u64).saturating_mul(size_of::<T>() as u64), what)),
    }
}

/// Checks that so many bytes could be had now, beyond what is held already: before work that allocates in many places.
pub(crate) fn expect_room(bytes: u64, what: &str) -> Result<()> {
    let wanted = usize::try_from(bytes.saturating_add(MARGIN));
    match wanted.is_ok_and(|n| Vec::<u8>::new().try_reserve_exact(n).is_ok()) {
        true => Ok(()),
        false => Err(refused(bytes, what)),
    }
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
    #[cfg(feature = "io")]
    fn room_is_had_or_refused() {
        assert!(room_for::<u64>(1000, "a thousand").is_ok_and(|v| v.capacity() >= 1000));
        assert!(refused(room_for::<u64>(usize::MAX / 4, "the sky")));
        assert!(refused(room_for::<u64>(isize::MAX as usize / 8, "the sky")));
    }
}
