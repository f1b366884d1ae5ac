//! Transforms along dims of a grid: Fourier, cosine, sine, wavelet.

use super::fields::Fields;
use super::op::{COUNT, EXTENTS, FLAG, FileField, FileOp, axes, must, open, or_else};
use super::{Loader, made, needed};
use crate::dim::Shape;
use crate::error::Result;
use crate::linop::{
    self, FftOptions, Linop, Norm, RfftOptions, TrigOptions, TrigType, WaveletBoundary, WaveletOptions,
};

const NORMS: &str = "\"ortho\", \"backward\", \"forward\" or \"none\"";
const NORM: FileField = or_else(
    "norm",
    NORMS,
    "\"ortho\"",
    "the scale s: 1/√N both ways; 1 forward and 1/N inverse; 1/N forward and 1 inverse; 1 both ways",
);
const TRIG_NORM: FileField = or_else(
    "norm",
    NORMS,
    "\"ortho\"",
    "an orthonormal matrix; the sum above and an inverse divided by L; the sum divided by L and an inverse that is not; neither divided",
);
const TRIG_TYPE: FileField = or_else("type", "1, 2, 3 or 4", "2", "which transform");
const INVERSE: FileField = or_else("inverse", FLAG, "false", "whether it is the inverse of that transform");
const WAVELET: FileField = must(
    "wavelet",
    "text",
    "its name as PyWavelets has it: `haar`, `db1` to `db20`, `sym2` to `sym20`, `coif1` to `coif17`, `bior1.1` to `bior6.8`, `rbio1.1` to `rbio6.8`",
);
const LEVELS: FileField =
    open("levels", COUNT, "as many as PyWavelets makes by default", "how often what is low is transformed again");
const WAVELET_BOUNDARY: FileField = or_else(
    "boundary",
    "\"zero\", \"periodization\" or \"symmetric\"",
    "\"zero\"",
    "what lies beyond the ends: zeros; the other end, where an odd axis repeats its last sample first; the mirror image",
);

impl Loader {
    pub(super) const FFT: FileOp = FileOp {
        name: "fft",
        summary: "Discrete Fourier transform",
        forward: "y_k = s·Σ_n x_n exp(−2πi kn/N) along each of `axes`, of any length",
        fields: &[
            axes("the dims to transform"),
            or_else("centered", FLAG, "false", "whether the origin is at index N/2, rounded down, on both sides"),
            NORM,
            or_else("inverse", FLAG, "false", "whether the exponent has the other sign"),
        ],
        examples: &[
            r#"{ "op": "fft", "in": "C=2 Ny=4 Nx=6", "axes": ["Ny", "Nx"], "centered": true, "out": "C Ky Kx" }"#,
        ],
        build: Loader::fft,
    };

    pub(super) fn fft(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let options = FftOptions::default()
            .centered(f.flag("centered", false)?)
            .norm(norm(f)?)
            .inverse(f.flag("inverse", false)?);
        made(linop::fft(needed(input, f)?, &f.dims("axes")?, options), f)
    }

    pub(super) const RFFT: FileOp = FileOp {
        name: "rfft",
        summary: "The half of a Fourier transform that real values determine",
        forward: "as `fft`, of which along the last dim of `axes` only k = 0 to N/2, rounded down, are kept; for complex x too. The adjoint puts zeros in place of the other half and is complex",
        fields: &[
            axes("the dims to transform; the last one is halved"),
            NORM,
            or_else(
                "isometric",
                FLAG,
                "false",
                "whether values that stand for two weigh √2: real tensors then keep their norm",
            ),
        ],
        examples: &[r#"{ "op": "rfft", "in": "C=2 Ny=4 Nx=6", "axes": ["Ny", "Nx"], "out": "C Ky Kx" }"#],
        build: Loader::rfft,
    };

    pub(super) fn rfft(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::rfft(needed(input, f)?, &f.dims("axes")?, halved(f)?), f)
    }

    pub(super) const IRFFT: FileOp = FileOp {
        name: "irfft",
        summary: "From half a spectrum back to values",
        forward: "y_n = s·Σ_k m_k x_k exp(+2πi kn/N) over k = 0 to N/2, m = 1 for k = 0 and for k = N/2 of an even N, 2 for all others; other dims of `axes` as in an inverse `fft`. The real part of y is what a real spectrum's other half would make of it",
        fields: &[
            axes("the dims to transform; the last one is half a spectrum"),
            must("length", COUNT, "N along the last of `axes`, whose extent is N/2 + 1, rounded down"),
            NORM,
            or_else("isometric", FLAG, "false", "whether values that stand for two weigh √2 instead of 2"),
        ],
        examples: &[r#"{ "op": "irfft", "in": "C=2 Ky=4 Kx=4", "axes": ["Ky", "Kx"], "length": 7, "out": "C Ny Nx" }"#],
        build: Loader::irfft,
    };

    pub(super) fn irfft(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let expected = "is missing; expected the values along the last of \"axes\", as in 320";
        let length = f.positive("length")?.ok_or_else(|| f.wrong("length", expected))?;
        made(linop::irfft(needed(input, f)?, &f.dims("axes")?, length, halved(f)?), f)
    }

    pub(super) const DCT: FileOp = FileOp {
        name: "dct",
        summary: "Discrete cosine transform",
        forward: "along each of `axes`, of type 1: y_k = x_0 + (−1)^k x_{N−1} + 2 Σ_{0<n<N−1} x_n cos(πkn/(N − 1)); 2: 2 Σ_n x_n cos(πk(2n + 1)/2N); 3: x_0 + 2 Σ_{n>0} x_n cos(π(2k + 1)n/2N); 4: 2 Σ_n x_n cos(π(2k + 1)(2n + 1)/4N); L = 2N, for type 1 2N − 2",
        fields: &[axes("the dims to transform"), TRIG_TYPE, TRIG_NORM, INVERSE],
        examples: &[r#"{ "op": "dct", "in": "C=2 Ny=4 Nx=6", "axes": ["Ny", "Nx"], "out": "C Ky Kx" }"#],
        build: Loader::dct,
    };

    pub(super) fn dct(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::dct(needed(input, f)?, &f.dims("axes")?, trigonometric(f)?), f)
    }

    pub(super) const DST: FileOp = FileOp {
        name: "dst",
        summary: "Discrete sine transform",
        forward: "along each of `axes`, of type 1: y_k = 2 Σ_n x_n sin(π(k + 1)(n + 1)/(N + 1)); 2: 2 Σ_n x_n sin(π(k + 1)(2n + 1)/2N); 3: (−1)^k x_{N−1} + 2 Σ_{n<N−1} x_n sin(π(2k + 1)(n + 1)/2N); 4: 2 Σ_n x_n sin(π(2k + 1)(2n + 1)/4N); L = 2N, for type 1 2N + 2",
        fields: &[axes("the dims to transform"), TRIG_TYPE, TRIG_NORM, INVERSE],
        examples: &[r#"{ "op": "dst", "in": "C=2 N=5", "axes": ["N"], "type": 1, "norm": "backward" }"#],
        build: Loader::dst,
    };

    pub(super) fn dst(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::dst(needed(input, f)?, &f.dims("axes")?, trigonometric(f)?), f)
    }

    pub(super) const WAVELET: FileOp = FileOp {
        name: "wavelet",
        summary: "Discrete wavelet transform",
        forward: "Mallat's cascade along all of `axes`, packed into one array: PyWavelets' `wavedecn` and `coeffs_to_array`. A level takes N samples to two bands of ⌊(N + L − 1)/2⌋ coefficients by filters of L taps, `y[m] = Σ_j f[j]·x[2m + 1 − j]`; with \"periodization\" to ⌈N/2⌉, `y[m] = Σ_j f[j]·x[(2m + L/2 − j) mod N]`",
        fields: &[WAVELET, axes("1 to 3 dims to transform"), LEVELS, WAVELET_BOUNDARY],
        examples: &[r#"{ "op": "wavelet", "in": "C=2 Ny=8 Nx=6", "wavelet": "db2", "axes": ["Ny", "Nx"],
  "levels": 1, "out": "C Wy Wx" }"#],
        build: Loader::wavelet,
    };

    pub(super) fn wavelet(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        made(linop::wavelet(needed(input, f)?, &f.dims("axes")?, &wavelets(f)?), f)
    }

    pub(super) const WAVELET_INVERSE: FileOp = FileOp {
        name: "wavelet_inverse",
        summary: "Inverse of the discrete wavelet transform",
        forward: "what `wavelet` undoes: from packed coefficients to samples, PyWavelets' `waverecn`. For an orthogonal wavelet it is the adjoint, where nothing is left over at the ends",
        fields: &[
            WAVELET,
            axes("1 to 3 dims to transform"),
            must(
                "to",
                EXTENTS,
                "the extents of the samples, of which an axis' coefficients do not tell: `{\"Wy\": 9, \"Wx\": 6}`",
            ),
            LEVELS,
            WAVELET_BOUNDARY,
        ],
        examples: &[r#"{ "op": "wavelet_inverse", "in": "C=2 W=10", "wavelet": "db2", "axes": ["W"],
  "to": { "W": 7 }, "levels": 1, "out": "C N" }"#],
        build: Loader::wavelet_inverse,
    };

    pub(super) fn wavelet_inverse(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let to: Shape = f.need_extents("to")?.parse().map_err(|e| f.at("to", e))?;
        made(linop::wavelet_inverse_to(needed(input, f)?, &f.dims("axes")?, &to, &wavelets(f)?), f)
    }
}

fn norm(f: &Fields) -> Result<Norm> {
    match f.text("norm")?.as_deref() {
        None | Some("ortho") => Ok(Norm::Ortho),
        Some("backward") => Ok(Norm::Backward),
        Some("forward") => Ok(Norm::Forward),
        Some("none") => Ok(Norm::None),
        Some(other) => Err(f.wrong("norm", format!("is \"{other}\"; expected ortho, backward, forward or none"))),
    }
}

/// Norm and weights of half a transform.
fn halved(f: &Fields) -> Result<RfftOptions> {
    Ok(RfftOptions::default().norm(norm(f)?).isometric(f.flag("isometric", false)?))
}

/// Type, norm and direction of a cosine or sine transform.
fn trigonometric(f: &Fields) -> Result<TrigOptions> {
    let kind = match f.count("type")? {
        Some(1) => TrigType::I,
        None | Some(2) => TrigType::II,
        Some(3) => TrigType::III,
        Some(4) => TrigType::IV,
        Some(other) => return Err(f.wrong("type", format!("is {other}; expected 1, 2, 3 or 4"))),
    };
    Ok(TrigOptions::default().kind(kind).norm(norm(f)?).inverse(f.flag("inverse", false)?))
}

/// Which wavelet, how many levels, and what lies beyond the ends.
fn wavelets(f: &Fields) -> Result<WaveletOptions> {
    let name = f.need_text("wavelet", "a wavelet's name, as in \"db4\"")?;
    let boundary = match f.text("boundary")?.as_deref() {
        None | Some("zero") => WaveletBoundary::Zero,
        Some("periodization") => WaveletBoundary::Periodization,
        Some("symmetric") => WaveletBoundary::Symmetric,
        Some(other) => {
            return Err(f.wrong("boundary", format!("is \"{other}\"; expected zero, periodization or symmetric")));
        }
    };
    Ok(WaveletOptions::default()
        .wavelet(name.parse().map_err(|e| f.at("wavelet", e))?)
        .levels(f.count("levels")?)
        .boundary(boundary))
}
