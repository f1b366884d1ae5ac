//! The table of ops: each by name, with what makes it of its fields. Another op is one row and its function.

use super::Loader;
use super::fields::Fields;
use crate::dim::Shape;
use crate::error::Result;
use crate::linop::Linop;

/// Makes a linop of its fields and of the input that they or the surroundings give.
pub(super) type Build = fn(&Loader, &mut Fields, Option<Shape>) -> Result<Linop>;

pub(super) const OPS: &[(&str, Build)] = &[
    ("identity", Loader::identity),
    ("zero", Loader::zero),
    ("scalar", Loader::scalar),
    ("diagonal", Loader::diagonal),
    ("dense", Loader::dense),
    ("fft", Loader::fft),
    ("nufft", Loader::nufft),
    ("interpolate", Loader::interpolate),
    ("gridding", Loader::gridding),
    ("pad", Loader::pad),
    ("crop", Loader::crop),
    ("slice", Loader::slice),
    ("embed", Loader::embed),
    ("sampling", Loader::sampling),
    ("sum", Loader::sum),
    ("repeat", Loader::repeat),
    ("rearrange", Loader::rearrange),
    ("flip", Loader::flip),
    ("roll", Loader::roll),
    ("downsample", Loader::downsample),
    ("upsample", Loader::upsample),
    ("custom", Loader::custom),
    ("chain", Loader::chain),
    ("add", Loader::add),
    ("concat", Loader::concat),
    ("stack", Loader::stack),
    ("adjoint", Loader::adjoint),
    ("normal", Loader::normal),
];

/// What makes this op.
pub(super) fn build(op: &str) -> Option<Build> {
    OPS.iter().find(|(name, _)| *name == op).map(|(_, build)| *build)
}

/// What to say of an op that there is not.
pub(super) fn unknown(op: &str) -> String {
    let shown: String = op.chars().take(40).collect();
    let names: Vec<&str> = OPS.iter().map(|(name, _)| *name).collect();
    let distances = names.iter().map(|name| (distance(&shown.to_lowercase(), name), *name));
    // Two slips at most, and fewer than half of its letters.
    let meant = distances.min().filter(|(slips, name)| *slips <= 2 && 2 * slips < name.len());
    let meant = meant.map_or(String::new(), |(_, name)| format!(", perhaps \"{name}\""));
    format!("unknown op \"{shown}\"{meant}; there are {}", names.join(", "))
}

/// Letters to insert, delete or replace, to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let replaced = before + usize::from(letter != *other);
            before = row[j + 1];
            row[j + 1] = replaced.min(row[j].min(before) + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_op() {
        for (slip, op) in [("nufftt", "nufft"), ("FFT", "fft"), ("digonal", "diagonal"), ("upsmaple", "upsample")] {
            assert!(
                unknown(slip).starts_with(&format!("unknown op \"{slip}\", perhaps \"{op}\"; there are identity, "))
            );
        }
        assert!(unknown("wavelet").starts_with("unknown op \"wavelet\"; there are"));
        assert!(unknown(&"x".repeat(1 << 20)).len() < 400);
        assert_eq!((distance("", "abc"), distance("abc", "abc"), distance("kitten", "sitting")), (3, 0, 3));
    }
}
