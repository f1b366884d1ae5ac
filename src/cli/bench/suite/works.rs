//! The fixed list of works: copies, lines, images and volumes, matrices, sums of sub-linops.

use super::super::workloads;
use super::{families, imaging};
use linops::linop::{self, FftOptions};
use linops::program::ThreadSettings;
use linops::{Linop, Result, Tensor};
use num_complex::Complex32;

/// What is measured under a name. It is made when its turn comes, so that one at a time takes memory.
pub struct Work {
    pub name: String,
    make: Box<dyn Fn() -> Result<Made>>,
}

/// What is run.
pub enum Made {
    /// An apply.
    Apply(Linop),
    /// Conjugate gradients on a normal.
    Solve { normal: Linop, iterations: usize },
}

impl Work {
    pub fn apply(name: impl Into<String>, make: impl Fn() -> Result<Linop> + 'static) -> Work {
        Work { name: name.into(), make: Box::new(move || make().map(Made::Apply)) }
    }

    pub fn solve(name: impl Into<String>, iterations: usize, make: impl Fn() -> Result<Linop> + 'static) -> Work {
        Work { name: name.into(), make: Box::new(move || Ok(Made::Solve { normal: make()?, iterations })) }
    }

    pub fn make(&self) -> Result<Made> {
        (self.make)()
    }
}

/// How large works are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// For a GPU.
    Full,
    /// For a minute on a software adapter, or on a host of two cores.
    Quick,
}

impl Scale {
    /// One of two.
    pub fn of<T>(self, full: T, quick: T) -> T {
        match self {
            Scale::Full => full,
            Scale::Quick => quick,
        }
    }
}

/// All works, in the order in which they run.
pub fn all(scale: Scale) -> Vec<Work> {
    let parts = [copies(scale), lines(scale), images(scale), imaging::works(scale), matrices(scale), sums(scale)];
    parts.into_iter().flatten().chain(families::works(scale)).collect()
}

fn copies(scale: Scale) -> Vec<Work> {
    let powers: &[u32] = scale.of(&[10, 12, 14, 16, 18, 20, 22, 24, 26], &[10, 14, 18, 20]);
    // -1, as a product with 1 is simplified away.
    let copy = |&p: &u32| Work::apply(format!("copy 2^{p}"), move || linop::scalar(format!("N={}", 1usize << p), -1.0));
    powers.iter().map(copy).collect()
}

/// Lines along the last axis, along the first, and along the middle one of three with 8 entries behind it.
fn lines(scale: Scale) -> Vec<Work> {
    let lengths: &[usize] = scale.of(
        &[16, 32, 64, 128, 256, 384, 512, 1000, 1021, 1024, 1920, 2048, 4096, 8192],
        &[16, 64, 512, 1000, 1021, 4096],
    );
    let total: usize = scale.of(1 << 24, 1 << 17);
    let fft = |dims: String| linop::fft(dims, "N", FftOptions::default());
    let of = |&n: &usize| {
        let rows = (total / n).max(1);
        [
            Work::apply(format!("lines of {n}, contiguous"), move || fft(format!("L={rows} N={n}"))),
            Work::apply(format!("lines of {n}, strided"), move || fft(format!("N={n} L={rows}"))),
            Work::apply(format!("lines of {n}, 8 columns"), move || fft(format!("L={} N={n} C=8", (rows / 8).max(1)))),
        ]
    };
    lengths.iter().flat_map(of).collect()
}

fn images(scale: Scale) -> Vec<Work> {
    let planes: &[(usize, usize)] = scale.of(&[(64, 512), (16, 1024), (1, 4096)], &[(8, 128), (1, 512)]);
    let volumes: &[usize] = scale.of(&[128, 256, 512], &[48]);
    let plane = |&(b, n): &(usize, usize)| {
        Work::apply(format!("FFT {b} x {n}²"), move || {
            linop::fft(format!("B={b} Y={n} X={n}"), "Y X", FftOptions::default())
        })
    };
    let centred = |&(b, n): &(usize, usize)| {
        Work::apply(format!("FFT {b} x {n}², centred"), move || {
            linop::fft(format!("B={b} Y={n} X={n}"), "Y X", FftOptions::default().centered(true))
        })
    };
    let volume = |&n: &usize| {
        Work::apply(format!("FFT {n}³"), move || {
            linop::fft(format!("Z={n} Y={n} X={n}"), "Z Y X", FftOptions::default())
        })
    };
    planes.iter().map(plane).chain(planes.iter().take(1).map(centred)).chain(volumes.iter().map(volume)).collect()
}

fn matrices(scale: Scale) -> Vec<Work> {
    let dense = |input: String, weight: String, out: &'static str| {
        move || linop::dense(input.clone(), &values(7, &weight)?, out)
    };
    let (n, v, many) = (scale.of(2048, 128), scale.of(4096, 512), scale.of(65_536, 2048));
    let batch = scale.of(256, 16);
    vec![
        Work::apply(format!("matrix {n}² · {n}²"), dense(format!("N={n} T={n}"), format!("M={n} N={n}"), "M T")),
        Work::apply(format!("matrix {v}² · vector"), dense(format!("N={v}"), format!("M={v} N={v}"), "M")),
        Work::apply(format!("matrix 64 x 32 · {many}"), dense(format!("N=32 T={many}"), "M=64 N=32".into(), "M T")),
        Work::apply(format!("matrix 8 x 32 · {many}"), dense(format!("N=32 T={many}"), "M=8 N=32".into(), "M T")),
        Work::apply(
            format!("{batch} matrices 64² · 64²"),
            dense(format!("B={batch} N=64 T=64"), format!("B={batch} M=64 N=64"), "B M T"),
        ),
    ]
}

/// Sums of sub-linops that have little in common, with all that may be in flight at once and one after the other. On a device of
/// several queues the first are spread over these.
fn sums(scale: Scale) -> Vec<Work> {
    let sizes: &[(usize, usize)] = scale.of(&[(8, 64), (8, 256), (8, 1024), (32, 64), (32, 256)], &[(8, 64), (32, 32)]);
    let of = |&(count, n): &(usize, usize)| {
        [
            Work::apply(format!("sum of {count} chains of {n}²"), move || chains(count, n)),
            Work::apply(format!("sum of {count} chains of {n}², not threaded"), move || {
                Ok(chains(count, n)?.with_settings(ThreadSettings { threaded: false, num_workers: None }))
            }),
        ]
    };
    let trivial = Work::apply("sum of 64 trivial sub-linops", workloads::trivial);
    sizes.iter().flat_map(of).chain([trivial]).collect()
}

/// Σ of chains of weights, transform, shift and transform, unlike by weights and shifts.
fn chains(count: usize, n: usize) -> Result<Linop> {
    let dims = format!("Y={n} X={n}");
    let one = |k: usize| {
        let weights = linop::diagonal(dims.as_str(), &values(1 + k as u32, &dims)?)?;
        let f = || linop::fft(dims.as_str(), "Y X", FftOptions::default())?.out("Y X");
        let shift = linop::roll(dims.as_str(), &[("Y", 1 + k as i64), ("X", -(k as i64))])?;
        linop::chain(vec![weights, f()?, shift, f()?])
    };
    linop::add((0..count).map(one).collect::<Result<Vec<_>>>()?)
}

/// Complex numbers of a fixed sequence, of this shape.
pub fn values(seed: u32, dims: &str) -> Result<Tensor> {
    let shape: linops::Shape = dims.parse()?;
    let mut next = workloads::noise(seed);
    let all: Vec<Complex32> = (0..shape.len()).map(|_| Complex32::new(next(), next())).collect();
    Tensor::from_slice(dims, &all)
}

/// Real numbers of a fixed sequence, of this shape.
pub fn reals(seed: u32, dims: &str) -> Result<Tensor> {
    let shape: linops::Shape = dims.parse()?;
    let mut next = workloads::noise(seed);
    let all: Vec<f32> = (0..shape.len()).map(|_| next()).collect();
    Tensor::from_slice(dims, &all)
}
