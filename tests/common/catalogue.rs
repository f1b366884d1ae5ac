//! Every linop, with extents that are odd, prime or 1: what table-driven tests run through.

use super::data::{Random, complex, indices, mask, real};
use linops::linop::{
    self, Accuracy, Align, FftOptions, InterpolateOptions, InterpolationKernel, Norm, NufftOptions, Stretch,
};
use linops::{Linop, Result};
use ndarray::{ArrayD, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis, IxDyn};
use num_complex::Complex32;

/// One linop of the table.
pub struct Case {
    /// What is special about it.
    pub name: String,
    /// The linop.
    pub linop: Linop,
    /// Whether it takes real tensors to real ones.
    pub real: bool,
}

const I: Complex32 = Complex32::new(0.0, 1.0);

/// All cases.
pub fn cases() -> Vec<Case> {
    let mut table = Table(Vec::new());
    pointwise(&mut table).unwrap();
    transforms(&mut table).unwrap();
    moves(&mut table).unwrap();
    sums_and_samples(&mut table).unwrap();
    dense(&mut table).unwrap();
    points(&mut table).unwrap();
    containers(&mut table).unwrap();
    compositions(&mut table).unwrap();
    own(&mut table).unwrap();
    table.0
}

struct Table(Vec<Case>);

impl Table {
    fn real(&mut self, name: &str, linop: Linop) {
        linop.check().unwrap_or_else(|e| panic!("{name}: {e}"));
        self.0.push(Case { name: name.into(), linop, real: true });
    }

    fn complex(&mut self, name: &str, linop: Linop) {
        self.real(name, linop);
        self.0.last_mut().unwrap().real = false;
    }
}

fn pointwise(t: &mut Table) -> Result<()> {
    t.real("identity", linop::identity("A=5 B=3")?);
    t.real("zero", linop::zero("A=5 B=3", "C=7")?);
    t.real("scalar, real", linop::scalar("A=5 B=3", -2.5)?);
    t.complex("scalar, complex", linop::scalar("A=7", Complex32::new(0.5, -2.0))?);
    t.real("diagonal, whole", linop::diagonal("A=5 B=3", &real("A=5 B=3", 1))?);
    t.complex("diagonal, outer", linop::diagonal("A=5 B=3 C=2", &complex("A=5", 2))?);
    t.complex("diagonal, inner", linop::diagonal("A=5 B=3 C=2", &complex("C=2", 3))?);
    t.complex("diagonal, permuted", linop::diagonal("A=5 B=3 C=2", &complex("C=2 A=5", 4))?);
    t.complex("diagonal, new dim first", linop::diagonal("A=5 B=3", &complex("C=3 A=5 B=3", 5))?);
    t.complex("diagonal, new dims elsewhere", linop::diagonal_to("A=5 B=3", &complex("D=2 B=3 C=3", 6), "A C B D")?);
    t.complex("diagonal, adjoint conjugates", linop::diagonal("A=5", &complex("C=3 A=5", 7))?.h());
    t.real("extents of 1", linop::diagonal("A=1 B=1", &real("C=1 A=1", 8))?);
    Ok(())
}

fn transforms(t: &mut Table) -> Result<()> {
    let fft = |dims: &str, axes: &str, centered, norm, inverse| {
        linop::fft(dims, axes, FftOptions::default().centered(centered).norm(norm).inverse(inverse))
    };
    for norm in [Norm::Ortho, Norm::Backward, Norm::Forward, Norm::None] {
        for inverse in [false, true] {
            t.complex(&format!("fft {norm:?}, inverse {inverse}"), fft("C=2 N=6", "N", false, norm, inverse)?);
        }
    }
    t.complex("fft, odd, centred", fft("C=2 N=15", "N", true, Norm::Ortho, false)?);
    t.complex("fft, even, centred, inverse", fft("N=8 C=3", "N", true, Norm::Backward, true)?);
    t.complex("fft, two axes, centred", fft("A=5 B=2 C=6", "A C", true, Norm::Ortho, false)?);
    t.complex("fft, three axes", fft("A=3 B=4 C=5", "A B C", false, Norm::None, false)?);
    t.complex("fft, Bluestein, centred", fft("B=2 N=17", "N", true, Norm::Ortho, false)?);
    t.complex("fft, Bluestein, outer axis", fft("N=19 B=2", "N", false, Norm::Forward, true)?);
    t.real("fft, length 1", fft("A=1 B=3", "A", true, Norm::Ortho, false)?);
    Ok(())
}

fn moves(t: &mut Table) -> Result<()> {
    let every = |start, step| Stretch { start: Some(start), stop: None, step: Some(step) };
    t.real("pad, centred", linop::pad("A=5 B=4", "A=8 B=7", Align::Center)?);
    t.real("pad, from the start", linop::pad("A=5 B=4", "B=11", Align::Start)?);
    t.real("crop, centred", linop::crop("A=8 B=7", "A=5 B=4", Align::Center)?);
    t.real("crop to 1", linop::crop("A=7 B=2", "A=1", Align::Center)?);
    t.real("slice", linop::slice("A=11 B=3", &[("A", every(1, 3)), ("B", (1..3).into())])?);
    t.real("embed", linop::embed("A=4 B=3", &[("A", every(1, 3))], "A=11")?);
    t.real("repeat", linop::repeat("A=3 B=2", "C=4")?);
    t.real("repeat, placed", linop::repeat_to("A=3 B=2", "C=4 D=1", "A C D B")?);
    t.real("rearrange, permute", linop::rearrange("A=3 B=5 C=2", "A B C -> C A B", "")?);
    t.real("rearrange, merge", linop::rearrange("A=3 B=5 C=2", "A B C -> (C A) B", "")?);
    t.real("rearrange, split", linop::rearrange("T=6 C=5", "(A B) C -> B C A", "A=2")?);
    t.real("flip", linop::flip("A=3 B=5 C=2", "A B")?);
    t.real("roll", linop::roll("A=3 B=7", &[("B", -9), ("A", 1)])?);
    t.real("downsample", linop::downsample("A=11 B=4", &[("A", 3, 2), ("B", 2, 0)])?);
    t.real("upsample", linop::upsample("A=3 B=4", &[("A", 3, 2)], "A=11")?);
    Ok(())
}

fn sums_and_samples(t: &mut Table) -> Result<()> {
    t.real("sum, outer", linop::sum("A=7 B=3 C=2", "A")?);
    t.real("sum, inner", linop::sum("A=3 B=2 C=7", "C")?);
    t.real("sum, middle and outer", linop::sum("A=3 B=5 C=2 D=3", "C A")?);
    t.real("sum, all", linop::sum("A=3 B=5", "A B")?);
    t.real("sampling, mask", linop::sampling("C=2 A=5 B=7", &mask("A=5 B=7", 0.4, 1), "C S")?);
    t.real("sampling, mask of an outer dim", linop::sampling("A=7 B=3", &mask("A=7", 0.5, 2), "B S")?);
    t.real("sampling, inner first", linop::sampling("A=3 B=5 C=2", &mask("C=2 A=3", 0.6, 3), "B S")?);
    let repeated = linop::sampling_at("C=2 A=5", &[("A", indices(&[4, 3], 5, 4))], "C T S")?;
    t.real("sampling, repeated indices", repeated.clone());
    t.real("sampling, adjoint", repeated.h());
    let pairs = [("B", indices(&[9], 3, 5)), ("A", indices(&[9], 5, 6))];
    t.real("sampling, pairs of indices", linop::sampling_at("A=5 B=3 C=2", &pairs, "C S")?);
    Ok(())
}

fn dense(t: &mut Table) -> Result<()> {
    t.real("dense, matrix", linop::dense("N=5 T=3", &real("M=4 N=5", 1), "M T")?);
    t.complex("dense, batched", linop::dense("B=3 N=5", &complex("B=3 M=2 N=5", 2), "B M")?);
    t.complex("dense, new dim, no sum", linop::dense("N=5 T=2", &complex("M=3 N=5", 3), "M N T")?);
    t.complex("dense, sums a dim of x alone", linop::dense("N=5 T=2", &complex("M=3 N=5", 4), "M")?);
    t.complex("dense, sums a dim of the weight alone", linop::dense("N=5", &complex("M=3 K=2 N=5", 5), "M")?);
    t.complex("dense, to a scalar", linop::dense("N=5 T=2", &complex("T=2 N=5", 6), "")?);
    t.complex("dense, transposing", linop::dense("A=3 N=5 B=2", &complex("N=5 M=4", 7), "B M A")?);
    Ok(())
}

fn points(t: &mut Table) -> Result<()> {
    let locs = |shape: &[usize], extent: f64, seed| {
        let mut r = Random(seed);
        // Some on cells and some on the edges between them.
        ArrayD::from_shape_fn(IxDyn(shape), |i| {
            let at = f64::from(r.uniform()) * extent;
            if i[0] % 3 == 0 { (2.0 * at).round() / 2.0 } else { at }
        })
    };
    let kernel = |width: &[f64], kernel, norm, boundary| {
        InterpolateOptions::default().width(width.to_vec()).kernel(kernel).norm(norm).boundary(boundary)
    };
    let (kb, spline) = (InterpolationKernel::KaiserBessel { beta: 5.0 }, |order| InterpolationKernel::Spline { order });
    use linop::{Boundary::*, KernelNorm::*};
    let one = kernel(&[3.0], spline(1), Product, Circular);
    t.real("interpolate, 1-D", linop::interpolate("C=2 N=9", &locs(&[7, 1], 12.0, 1), "N", &one, "C S")?);
    let two = kernel(&[2.5, 4.0], kb, Product, Zero);
    t.real("interpolate, 2-D", linop::interpolate("Y=7 C=3 X=5", &locs(&[2, 4, 2], 6.0, 2), "X Y", &two, "C T S")?);
    let disc = kernel(&[4.0], kb, Radial, Circular);
    t.real("interpolate, radial kernel", linop::interpolate("Y=7 X=6", &locs(&[6, 2], 9.0, 3), "Y X", &disc, "S")?);
    let three = kernel(&[3.0], spline(2), Product, Circular);
    t.real("interpolate, 3-D", linop::interpolate("Z=4 Y=5 X=3", &locs(&[5, 3], 5.0, 4), "Z Y X", &three, "S")?);
    let wide = kernel(&[7.0], spline(0), Product, Zero);
    t.real("interpolate, wider than the grid", linop::interpolate("N=4", &locs(&[5, 1], 4.0, 5), "N", &wide, "S")?);
    t.real("gridding", linop::gridding("C=5 S=6", &locs(&[6, 2], 9.0, 6), "Y=7 X=6", &disc)?);
    let weighted = linop::diagonal("C=2 S=6", &complex("C=2 S=6", 7))?;
    t.complex("gridding of weights", linop::gridding("C=2 S=6", &locs(&[6, 1], 9.0, 7), "N=9", &one)? * weighted);
    let pair = |tol| NufftOptions::default().accuracy(Accuracy::Tol(tol)).toeplitz(Some(false));
    let nufft = |input: &str, d: usize, axes: &str, out: &str| {
        linop::nufft(input, &locs(&[2, 4, d], 5.0, 8), axes, pair(1e-3), out)
    };
    t.complex("nufft, 1-D", nufft("C=2 N=11", 1, "N", "C R S")?);
    t.complex("nufft, 2-D, axes turned", nufft("Y=6 C=2 X=5", 2, "X Y", "C R S")?);
    t.complex("nufft, 3-D", nufft("Z=3 Y=1 X=4", 3, "Z Y X", "R S")?);
    t.complex("nufft, nearest", linop::nufft_lattice("Y=6 X=5", &locs(&[7, 2], 5.0, 9), "Y X", 1.5, "S")?);
    Ok(())
}

/// Operators of a user's own.
fn own(t: &mut Table) -> Result<()> {
    // y[a, b] = x[b, a] + x[b, a − 1], and back.
    let next = |x: ArrayView2<f64>, mut y: ArrayViewMut2<f64>| {
        y.indexed_iter_mut().for_each(|((a, b), y)| *y = x[[b, a]] + if a > 0 { x[[b, a - 1]] } else { 0.0 });
    };
    let back = |y: ArrayView2<f64>, mut x: ArrayViewMut2<f64>| {
        y.indexed_iter().for_each(|((a, b), y)| {
            x[[b, a]] += y;
            if a > 0 {
                x[[b, a - 1]] += y;
            }
        });
    };
    let real = || linop::from_fn("B=3 A=5", "A=5 B=3", next, back);
    t.real("from_fn, real", real()?);
    t.real("from_fn, adjoint", real()?.h());
    let turned = linop::from_fn(
        "A=5 B=3",
        "A=5",
        |x: ArrayView2<Complex32>, mut y: ArrayViewMut1<Complex32>| y.assign(&x.sum_axis(Axis(1)).mapv(|x| I * x)),
        |y: ArrayView1<Complex32>, mut x: ArrayViewMut2<Complex32>| {
            x.axis_iter_mut(Axis(1)).for_each(|mut x| x.assign(&y.mapv(|y| -I * y)));
        },
    )?;
    t.complex("from_fn, complex", turned.clone());
    let weights = |seed| linop::diagonal("B=3 A=5", &complex("B=3 A=5", seed));
    t.complex("from_fn, between weights", turned * real()? * weights(1)?);
    let alike = real()?;
    let parts = (0..4).map(|seed| Ok(&alike * weights(seed)?)).collect::<Result<Vec<_>>>()?;
    t.complex("from_fn, stacked", linop::stack(parts.clone(), None, Some(("S", 1)))?);
    t.complex("from_fn, added", linop::add(parts)?);
    #[cfg(feature = "gpu")]
    kernels(t)?;
    Ok(())
}

/// y[n] = w[n] (x[n] + x[n − 1]), circular, and back.
#[cfg(feature = "gpu")]
fn kernels(t: &mut Table) -> Result<()> {
    use linop::Wgsl;
    let text = |body: &str| {
        format!(
            "@group(0) @binding(0) var<storage, read> x: array<T>;
            @group(0) @binding(1) var<storage, read_write> y: array<T>;
            @group(0) @binding(2) var<storage, read> w: array<f32>;
            @compute @workgroup_size(32)
            fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
                let i = id.x;
                let n = arrayLength(&y);
                if (i < n) {{ {body} }}
            }}"
        )
    };
    let w = real("N=77", 1);
    let forward = Wgsl::new(text("y[i] = w[i] * (x[i] + x[(i + n - 1u) % n]);")).constant(&w);
    let next = "let k = (i + 1u) % n; y[i] = w[i] * x[i] + w[k] * x[k];";
    let adjoint = Wgsl::new(text(next)).constant(&w);
    let sum = linop::identity("N=77")? + linop::roll("N=77", &[("N", 1)])?;
    let host = linop::diagonal("N=77", &w)? * sum;
    let own = linop::wgsl_or(&forward, &adjoint, &host)?;
    t.real("custom", own.clone());
    t.real("custom, adjoint", own.h());
    let d = |seed| linop::diagonal("N=77", &complex("N=77", seed));
    t.complex("custom, between weights", d(2)? * &own * d(3)?);
    t.complex("custom, added", linop::add((0..3).map(|k| Ok(&own * d(k)?)).collect::<Result<_>>()?)?);
    t.real("custom, stacked", linop::stack(vec![own.clone(), own], None, Some(("S", 0)))?);
    Ok(())
}

fn containers(t: &mut Table) -> Result<()> {
    let d = |dims: &str, seed| linop::diagonal(dims, &complex(dims, seed));
    let (p, q, r) = (d("A=5 B=2", 1)?, d("A=5 B=2", 2)?, linop::flip("A=5 B=2", "A")?);
    let all = || vec![p.clone(), q.clone(), r.clone()];
    t.complex("add", linop::add(all())?);
    t.real("add, of one", linop::add(vec![r.clone()])?);
    t.real("add, twice the same", linop::add(vec![r.clone(), r.clone()])?);
    t.complex("add, weighted", linop::add_weighted(all(), &[I, Complex32::new(2.0, 0.0), Complex32::new(-0.5, 1.5)])?);
    t.complex("subtract", &p - &r);
    let wide = linop::sum("A=3 B=2", "B")?;
    let sums = || -> Result<_> { Ok(vec![wide.clone(), linop::sum("A=3 B=4", "B")?]) };
    t.real("concat, horizontal", linop::concat(sums()?, Some("B"), None)?);
    t.complex("concat, vertical, outer", linop::concat(vec![p.clone(), d("A=5 B=2", 3)?, q.clone()], None, Some("A"))?);
    t.complex("concat, vertical, inner", linop::concat(vec![p.clone(), r.clone()], None, Some("B"))?);
    let blocks = vec![d("A=5 B=2", 4)?, d("A=3 B=2", 5)?];
    t.complex("concat, block diagonal", linop::concat(blocks, Some("A"), Some("A"))?);
    let uneven =
        vec![linop::pad("A=3", "A=5", Align::Start)?.out("A")?, linop::crop("A=7", "A=2", Align::Start)?.out("A")?];
    t.real("concat, uneven blocks", linop::concat(uneven, Some("A"), Some("A"))?);
    for position in 0..=2 {
        let (s, out) = (Some(("S", position)), Some(("T", 2 - position)));
        t.complex(&format!("stack, in at {position}"), linop::stack(all(), s, None)?);
        t.complex(&format!("stack, out at {position}"), linop::stack(all(), None, s)?);
        t.complex(&format!("stack, block diagonal at {position}"), linop::stack(all(), s, out)?);
    }
    let vectors = linop::stack(vec![wide.clone(), wide], None, Some(("S", 1)))?;
    t.real("stack, other outputs", vectors);
    Ok(())
}

fn compositions(t: &mut Table) -> Result<()> {
    let ortho = FftOptions::default().centered(true);
    let maps = linop::diagonal("Y=6 X=5", &complex("C=3 Y=6 X=5", 1))?;
    let f = linop::fft(maps.output()?, "Y X", ortho)?.out("C Ky Kx")?;
    let sense = linop::sampling(f.output()?, &mask("Ky=6 Kx=5", 0.5, 2), "C S")? * &f * &maps;
    t.complex("chain: sensitivities, fft, sampling", sense.clone());
    t.complex("normal of a chain", sense.n());
    t.complex("adjoint of a normal", sense.n().h());
    t.complex("scalar product", Complex32::new(0.5, 2.0) * &sense);
    let lines = linop::diagonal(f.output()?, &mask("Ky=6", 0.5, 3))? * &f * &maps;
    t.complex("mask along one transformed dim", lines.n());
    let pad = linop::pad("N=5", "N=9", Align::Center)?.out("N")?;
    let blur = linop::fft("N=9", "N", FftOptions::default())?.out("K")?;
    let spectrum = linop::diagonal("K=9", &complex("K=9", 4))?;
    t.complex("convolution, padded", pad.h() * blur.h() * spectrum * &blur * &pad);
    let spread = linop::repeat("A=4", "C=3")?;
    t.real("sum of a repeat", linop::sum(spread.output()?, "C")? * &spread);
    t.real("crop of a downsampled roll", {
        let roll = linop::roll("A=13", &[("A", 4)])?;
        let half = linop::downsample("A=13", &[("A", 2, 1)])?.out("B")?;
        linop::crop("B=6", "B=3", Align::Center)? * half * roll
    });
    t.complex("padded weights", {
        let pad = linop::pad("A=3 B=2", "A=5 B=5", Align::Center)?;
        pad * linop::diagonal("A=3 B=2", &complex("A=3 B=2", 5))?
    });
    t.complex("upsampled weights", {
        let up = linop::upsample("A=3 B=2", &[("B", 3, 1)], "B=6")?;
        up * linop::diagonal("A=3 B=2", &complex("A=3 B=2", 6))?
    });
    t.real("padded repeat", {
        let pad = linop::pad("C=2 A=3", "C=3", Align::Start)?;
        pad * linop::repeat("A=3", "C=2")?
    });
    t.real("padded roll", {
        let pad = linop::pad("A=3 B=2", "A=5 B=3", Align::Start)?;
        pad * linop::roll("A=3 B=2", &[("A", 2), ("B", 1)])?
    });
    t.real("first rows of a sum", {
        let sum = linop::sum("A=7 B=3 C=2", "C")?;
        linop::slice("A=7 B=3", &[("A", (0..4).into())])? * sum
    });
    let nested = linop::stack(vec![sense.clone(), -&sense], None, Some(("E", 0)))?;
    t.complex("stack of chains", nested.clone());
    t.complex("normal of a stack", nested.n());
    let sum = &sense + &(Complex32::new(0.0, 2.0) * &sense);
    t.complex("normal of a sum", sum.n());
    Ok(())
}
