//! The table of ops. Another op is one row, and beside its function a [`FileOp`] that describes it.

use super::Loader;
use super::nearest::{nearest, shown};
use super::op::FileOp;
use crate::error::{Error, Result};

const OPS: &[&FileOp] = &[
    &Loader::IDENTITY,
    &Loader::ZERO,
    &Loader::SCALAR,
    &Loader::DIAGONAL,
    &Loader::DENSE,
    &Loader::FFT,
    &Loader::RFFT,
    &Loader::IRFFT,
    &Loader::DCT,
    &Loader::DST,
    &Loader::NUFFT,
    &Loader::NUFFT_TYPE3,
    &Loader::NDFT,
    &Loader::INTERPOLATE,
    &Loader::GRIDDING,
    &Loader::PROJECTION,
    &Loader::BACK_PROJECTION,
    &Loader::WARP,
    &Loader::PAD,
    &Loader::CROP,
    &Loader::SLICE,
    &Loader::EMBED,
    &Loader::SAMPLING,
    &Loader::CONVOLVE,
    &Loader::CONVOLVE_KERNEL,
    &Loader::BLOCKS,
    &Loader::FINITE_DIFFERENCE,
    &Loader::GRADIENT,
    &Loader::LAPLACIAN,
    &Loader::SYMMETRISED_GRADIENT,
    &Loader::SUM,
    &Loader::MEAN,
    &Loader::TILE,
    &Loader::HANKEL,
    &Loader::OFF_RESONANCE,
    &Loader::REPEAT,
    &Loader::REARRANGE,
    &Loader::FLIP,
    &Loader::ROLL,
    &Loader::DOWNSAMPLE,
    &Loader::UPSAMPLE,
    &Loader::WAVELET,
    &Loader::WAVELET_INVERSE,
    &Loader::CUSTOM,
    &Loader::CHAIN,
    &Loader::ADD,
    &Loader::CONCAT,
    &Loader::STACK,
    &Loader::OVER,
    &Loader::KRON,
    &Loader::ADJOINT,
    &Loader::NORMAL,
];

impl FileOp {
    /// All ops of linop files, as the documentation lists them.
    pub fn all() -> &'static [&'static FileOp] {
        OPS
    }

    /// The op of this name.
    ///
    /// # Errors
    /// There is none; the message has the nearest name, and all of them.
    pub fn named(name: &str) -> Result<&'static FileOp> {
        OPS.iter().find(|op| op.name == name).copied().ok_or_else(|| Error::Value(unknown(name)))
    }
}

/// What others call an op, or what an op makes.
const ALIASES: &[(&str, &str)] = &[
    ("block_diag", "concat"),
    ("casorati", "rearrange"),
    ("conv", "convolve"),
    ("copy", "repeat"),
    ("cosine", "dct"),
    ("dft", "fft"),
    ("dwt", "wavelet"),
    ("einsum", "dense"),
    ("eye", "identity"),
    ("fbp", "back_projection"),
    ("hstack", "concat"),
    ("idwt", "wavelet_inverse"),
    ("ifft", "fft"),
    ("iradon", "back_projection"),
    ("mask", "diagonal"),
    ("matrix", "dense"),
    ("moveaxis", "rearrange"),
    ("nfft", "nufft"),
    ("nudft", "ndft"),
    ("patches", "blocks"),
    ("permute", "rearrange"),
    ("product", "chain"),
    ("radon", "projection"),
    ("reshape", "rearrange"),
    ("shift", "roll"),
    ("subspace", "dense"),
    ("swapaxes", "rearrange"),
    ("total_variation", "gradient"),
    ("transpose", "rearrange"),
    ("vstack", "stack"),
    ("wgsl", "custom"),
    ("xray", "projection"),
];

/// What to say of an op that there is not.
pub(super) fn unknown(op: &str) -> String {
    let names: Vec<&str> = OPS.iter().map(|op| op.name).collect();
    let alias = ALIASES.iter().find(|(other, _)| op.eq_ignore_ascii_case(other)).map(|(_, op)| *op);
    let meant = alias
        .or_else(|| nearest(op, names.iter().copied()))
        .map_or(String::new(), |name| format!(", perhaps \"{name}\""));
    format!("unknown op \"{}\"{meant}; there are {}", shown(op), names.join(", "))
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
        for (other, op) in ALIASES {
            assert!(FileOp::named(op).is_ok() && FileOp::named(other).is_err(), "{other}: {op}");
        }
        assert!(unknown("Radon").contains("perhaps \"projection\""));
        assert!(unknown("curvelet").starts_with("unknown op \"curvelet\"; there are"));
        assert!(unknown(&"x".repeat(1 << 20)).len() < 700);
        assert!(FileOp::named("fft").is_ok());
        assert!(FileOp::named("convlve").unwrap_err().to_string().contains("perhaps \"convolve\""));
    }
}
