//! Numbers as arguments, with errors that say what was expected.

use std::num::NonZeroUsize;

/// A count of at least 1.
pub fn from_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a whole number from 1 on".into())
}

/// A finite number that is not negative, in single precision.
pub fn from_zero(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|v: &f32| v.is_finite() && *v >= 0.0);
    number.ok_or_else(|| "expected a finite number from 0 on, such as 0.01".into())
}

/// A relative error below 1 and not below `least`.
pub fn relative_error(text: &str, least: f64) -> Result<f64, String> {
    let number = text.parse().ok().filter(|v| (least..1.0).contains(v));
    number.ok_or_else(|| format!("expected a number from {least:e} (what float32 reaches) to below 1, such as 1e-4"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_makes_sense() {
        assert_eq!((from_one("7").map(usize::from), from_zero("1e-3")), (Ok(7), Ok(1e-3)));
        for text in ["0", "-3", "1.5", "", "x", "99999999999999999999"] {
            assert!(from_one(text).is_err(), "{text}");
        }
        for text in ["-1", "nan", "inf", "1e60", "", "x", "-1e-30"] {
            assert!(from_zero(text).is_err(), "{text}");
        }
        assert_eq!(from_zero("-0"), Ok(0.0));
        for (text, good) in
            [("1e-4", true), ("1e-6", true), ("1e-9", false), ("1", false), ("-0.1", false), ("nan", false)]
        {
            assert_eq!(relative_error(text, 1e-6).is_ok(), good, "{text}");
        }
    }
}
