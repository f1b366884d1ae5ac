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

/// A number of bytes: "64 MiB", "16M", "2g", "4096".
pub fn byte_count(text: &str) -> Result<u64, String> {
    let text = text.trim().to_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let unit = text[digits.len()..].trim();
    let power = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" if unit.len() < 2 => Some(0),
        "k" => Some(10),
        "m" => Some(20),
        "g" => Some(30),
        "t" => Some(40),
        _ => None,
    };
    let number: Option<f64> = digits.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
    let wrong = || "expected a number of bytes, such as 64M, 1.5 GiB or 4096".to_string();
    let (Some(power), Some(number)) = (power, number) else { return Err(wrong()) };
    let bytes = number * f64::from(2f32.powi(power));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    if bytes >= 1.0 && bytes < 2f64.powi(63) { Ok(bytes as u64) } else { Err(wrong()) }
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
    fn bytes_have_units() {
        let good =
            [("4096", 4096), ("16M", 16 << 20), ("1.5 GiB", 3 << 29), ("512kb", 512 << 10), ("2g", 2 << 30), ("7b", 7)];
        for (text, bytes) in good {
            assert_eq!(byte_count(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "-1M", "M", "1 X", "1e30T", "nan", "1ib", "0.5"] {
            assert!(byte_count(text).is_err(), "{text}");
        }
    }

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
