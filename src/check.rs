//! Tests of linops on a device, for this crate's tests, for `linops check`, and for the tests of crates that build on it:
//! is the adjoint the adjoint, and is the normal AᴴA?
//!
//! ```
//! use linops::{Device, check, linop};
//! let a = linop::fft("Ny=6 Nx=10", "Ny Nx", Default::default())?;
//! let report = check::dot_test(&a, &Device::host(), 1)?;
//! assert!(report.passed(), "{report}");
//! # Ok::<(), linops::Error>(())
//! ```

mod locate;

use crate::allocate::room_for;
use crate::dim::Shape;
use crate::error::{Error, Result};
use crate::linop::Linop;
use crate::run::Device;
use crate::tensor::Tensor;
use ndarray::ArrayD;
use num_complex::{Complex32, Complex64};
use std::fmt;

/// What both tests allow: the relative l2 error that a linop may have on any device.
pub const TOLERANCE: f64 = 2e-6;

/// The outcome of a test.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// "dot test" or "normal test".
    pub test: &'static str,
    /// Name of the device.
    pub device: String,
    /// Relative error; NaN where the linop gave NaN.
    pub error: f64,
    /// What is allowed.
    pub tolerance: f64,
    /// The entry that explains the error best. The dot test looks for one only when it fails.
    pub worst: Option<Entry>,
}

/// One entry that two ways of computing disagree on.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What the entry is of, with its indices: "A[Ny=3; C=0 Ky=2]".
    pub what: String,
    /// The value that was tested.
    pub got: Complex32,
    /// The value that it should have.
    pub expected: Complex32,
}

impl Report {
    /// Whether the error is within the tolerance.
    pub fn passed(&self) -> bool {
        self.error <= self.tolerance
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "passed" } else { "failed" };
        let Report { test, device, error, tolerance, .. } = self;
        write!(f, "{test} on {device} {verdict}: relative error {error:.2e}, allowed {tolerance:.0e}")?;
        if !error.is_finite() {
            f.write_str("; values on the way overflow float32 (3.4e38), or are NaN: scale the linop's weights down")?;
        }
        match &self.worst {
            Some(w) if !self.passed() => write!(f, "; {} is {}, expected {}", w.what, w.got, w.expected),
            _ => Ok(()),
        }
    }
}

/// Dot test: ⟨A x, u⟩ = ⟨x, Aᴴ u⟩ for random complex x and u.
///
/// The inner products are summed in f64; the error is their distance relative to the larger of ‖A x‖‖u‖ and ‖x‖‖Aᴴ u‖.
/// When it fails, halving x and u finds an entry of the matrix A that Aᴴ does not have. The same seed gives the same x and u.
///
/// # Errors
/// The linop carries an error, x or u do not fit in memory, or the device fails. A wrong adjoint is no error, but a report
/// that has not [`passed`](Report::passed).
pub fn dot_test(linop: &Linop, device: &Device, seed: u64) -> Result<Report> {
    dot_test_of(linop, &linop.h(), device, seed)
}

/// The dot test of two linops that should be each other's adjoints.
fn dot_test_of(forward: &Linop, adjoint: &Linop, device: &Device, seed: u64) -> Result<Report> {
    let (x, u) = (random(forward.input()?, seed)?, random(forward.output()?, seed.wrapping_add(1))?);
    let (y, v) = (run(forward, &x, device)?, run(adjoint, &u, device)?);
    let difference = (dot(&u, &y) - dot(&v, &x)).norm();
    let size = (norm(&y) * norm(&u)).max(norm(&x) * norm(&v));
    let error = relative(difference, size);
    let mut report = Report { test: "dot test", device: device.name(), error, tolerance: TOLERANCE, worst: None };
    if !report.passed() {
        report.worst = Some(locate::entry(forward, adjoint, device, x, u)?);
    }
    Ok(report)
}

/// Normal test: the linop's normal applied to a random complex x against Aᴴ(A x), as relative l2 error.
///
/// Where the linop approximates (non-uniform transforms), its normal may be another approximation: four times its error is
/// allowed. The report names the entry with the largest difference. The same seed gives the same x.
///
/// # Errors
/// As for [`dot_test`].
pub fn normal_test(linop: &Linop, device: &Device, seed: u64) -> Result<Report> {
    normal_test_of(&linop.n(), linop, device, seed)
}

/// The normal test of a linop that should be the normal of another.
fn normal_test_of(normal: &Linop, linop: &Linop, device: &Device, seed: u64) -> Result<Report> {
    let x = random(linop.input()?, seed)?;
    let got = run(normal, &x, device)?;
    let expected = run(&linop.h(), &run(linop, &x, device)?, device)?;
    let error = relative(norm(&(&got - &expected)), norm(&expected));
    let distance = |(g, e): (&Complex32, &Complex32)| {
        let d = (g - e).norm();
        if d.is_nan() { f32::INFINITY } else { d }
    };
    let distances = got.iter().zip(&expected).map(distance);
    let at = distances.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(i, _)| i);
    let worst = got.iter().nth(at).zip(expected.iter().nth(at)).map(|(&got, &expected)| Entry {
        what: format!("entry [{}] of the normal's result", indices(normal, at)),
        got,
        expected,
    });
    let tolerance = TOLERANCE.max(4.0 * linop.program()?.approximation());
    Ok(Report { test: "normal test", device: device.name(), error, tolerance, worst })
}

/// The named indices of element `at` of a linop's output.
fn indices(linop: &Linop, at: usize) -> String {
    linop.output().map_or_else(|_| at.to_string(), |shape| named(shape, at))
}

/// Element `at`, in C order, by dims: "Ny=3 Nx=5".
fn named(shape: &Shape, mut at: usize) -> String {
    let mut parts = Vec::new();
    for (dim, extent) in shape.iter().collect::<Vec<_>>().into_iter().rev() {
        parts.push(format!("{dim}={}", at % extent));
        at /= extent;
    }
    parts.reverse();
    parts.join(" ")
}

fn run(linop: &Linop, x: &ArrayD<Complex32>, device: &Device) -> Result<ArrayD<Complex32>> {
    let x = Tensor::from_host(linop.input()?.clone(), crate::HostArray::Complex32(x.to_shared()))?;
    linop.apply(&x.to(device)?)?.to(&Device::host())?.to_array()
}

/// Σ conj(a)·b in f64.
fn dot(a: &ArrayD<Complex32>, b: &ArrayD<Complex32>) -> Complex64 {
    let wide = |v: &Complex32| Complex64::new(v.re.into(), v.im.into());
    a.iter().zip(b).map(|(a, b)| wide(a).conj() * wide(b)).sum()
}

fn norm(a: &ArrayD<Complex32>) -> f64 {
    dot(a, a).re.sqrt()
}

/// 0 for 0/0: a linop that is zero has no error.
fn relative(difference: f64, size: f64) -> f64 {
    if difference == 0.0 { 0.0 } else { difference / size }
}

/// Values with real and imaginary part uniform in [-1, 1), from SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn random(shape: &Shape, seed: u64) -> Result<ArrayD<Complex32>> {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // 24 bits fit an f32 exactly.
        ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    let mut values = room_for::<Complex32>(shape.len(), &format!("test data for {shape}"))?;
    values.extend((0..shape.len()).map(|_| Complex32::new(uniform(), uniform())));
    ArrayD::from_shape_vec(shape.extents(), values).map_err(|e| Error::Shape(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linop;

    fn weights(values: &[f32]) -> Linop {
        let w = Tensor::from_array(ndarray::arr1(values), "N").unwrap();
        linop::diagonal(format!("N={}", values.len()), &w).unwrap()
    }

    #[test]
    fn right_linops_pass() {
        let a = linop::fft("A=5 B=12", "A B", Default::default()).unwrap();
        let sum = linop::sum("A=300 B=7", "A").unwrap();
        let zero = linop::zero("A=3", "B=2").unwrap();
        for a in [a, sum, zero] {
            for report in [dot_test(&a, &Device::host(), 3), normal_test(&a, &Device::host(), 3)] {
                let report = report.unwrap();
                assert!(report.passed(), "{report}");
            }
        }
    }

    #[test]
    fn a_wrong_adjoint_is_located() {
        let right = weights(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let wrong = weights(&[1.0, 2.0, 3.0, 4.0, 5.5, 6.0, 7.0]);
        let report = dot_test_of(&right, &wrong, &Device::host(), 1).unwrap();
        assert!(!report.passed());
        let worst = report.worst.clone().unwrap();
        assert_eq!((worst.got.re, worst.expected.re), (5.5, 5.0));
        assert!(report.to_string().contains("N=4"), "{report}");
    }

    #[test]
    fn a_wrong_normal_is_located() {
        let a = weights(&[1.0, 2.0, 3.0]);
        let report = normal_test_of(&weights(&[1.0, 4.0, 9.1]), &a, &Device::host(), 1).unwrap();
        assert!(!report.passed());
        assert!(report.to_string().contains("[N=2]"), "{report}");
    }

    #[test]
    fn nan_and_failed_linops_do_not_pass() {
        let nan = weights(&[1.0, f32::NAN]);
        assert!(!dot_test(&nan, &Device::host(), 1).unwrap().passed());
        assert!(!normal_test(&nan, &Device::host(), 1).unwrap().passed());
        let large = weights(&[1.0, 3e38]);
        let told = dot_test(&(&large * &large), &Device::host(), 1).unwrap().to_string();
        assert!(told.contains("overflow float32"), "{told}");
        assert!(!dot_test(&weights(&[1.0, 2.0]), &Device::host(), 1).unwrap().to_string().contains("overflow"));
        let failed = weights(&[1.0]) * weights(&[1.0, 2.0]);
        assert!(dot_test(&failed, &Device::host(), 1).is_err());
    }

    #[test]
    fn a_seed_is_a_stream() {
        let shape = "N=1000".parse().unwrap();
        let x = random(&shape, 5).unwrap();
        assert_eq!(x, random(&shape, 5).unwrap());
        assert_ne!(x, random(&shape, 6).unwrap());
        assert!(x.iter().all(|v| (-1.0..1.0).contains(&v.re) && (-1.0..1.0).contains(&v.im)));
        assert!(x.sum().norm() < 100.0);
    }
}
