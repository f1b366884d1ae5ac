//! Every linop, with extents that are odd, prime or 1: what table-driven tests run through.

use super::data::{Random, complex, indices, mask, real};
use linops::linop::{
    self, Accuracy, Align, Border, Boundary, ConvolveMode, ConvolveOptions, FftOptions, Geometry, GradientOptions,
    InterpolateOptions, InterpolationKernel, Norm, NufftOptions, NufftType3Options, OffResonanceOptions, RfftOptions,
    Segmentation, Segments, Stretch, TrigOptions, TrigType, WarpKernel, WarpOptions,
};
use linops::{Linop, Result};
use ndarray::{ArrayD, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis, IxDyn};
use num_complex::Complex32;
use std::f64::consts::PI;

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
    neighbours(&mut table).unwrap();
    points(&mut table).unwrap();
    wavelets(&mut table).unwrap();
    projections(&mut table).unwrap();
    containers(&mut table).unwrap();
    compositions(&mut table).unwrap();
    batches(&mut table).unwrap();
    imaging(&mut table).unwrap();
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
    let half = |norm, isometric| RfftOptions::default().norm(norm).isometric(isometric);
    t.complex("rfft, even", linop::rfft("B=2 N=12", "N", half(Norm::Ortho, false))?);
    t.complex("rfft, odd", linop::rfft("N=9 B=2", "N", half(Norm::Backward, true))?);
    t.complex("rfft, two axes", linop::rfft("A=5 B=2 N=14", "A N", half(Norm::Forward, true))?);
    t.complex("rfft, twice a prime", linop::rfft("A=3 N=34 B=2", "N", half(Norm::None, false))?);
    t.complex("rfft, lengths 1 and 2", linop::rfft("A=2 B=3 N=1", "N A", half(Norm::Ortho, true))?);
    t.complex("irfft, even", linop::irfft("B=2 K=7", "K", 12, half(Norm::Backward, false))?);
    t.complex("irfft, two axes, odd", linop::irfft("A=5 B=2 K=4", "A K", 7, half(Norm::Ortho, true))?);
    let trig = |kind| TrigOptions::default().kind(kind);
    for kind in [TrigType::I, TrigType::II, TrigType::III, TrigType::IV] {
        // By a matrix; by a transform of half the length; of odd length.
        for dims in ["B=2 N=5", "N=38 B=2", "N=35"] {
            t.real(&format!("dct {kind:?} of {dims}"), linop::dct(dims, "N", trig(kind))?);
            t.real(&format!("dst {kind:?} of {dims}"), linop::dst(dims, "N", trig(kind))?);
        }
        t.real(&format!("dct {kind:?}, backward"), linop::dct("N=34", "N", trig(kind).norm(Norm::Backward))?);
    }
    t.real("dst, awkward length", linop::dst("N=37 B=2", "N", trig(TrigType::II))?);
    t.real("dct, two axes", linop::dct("A=6 C=2 N=34", "N A", trig(TrigType::II).norm(Norm::Forward).inverse(true))?);
    t.complex("dct of a weighted image", {
        let weights = linop::diagonal("B=2 N=36", &complex("B=2 N=36", 9))?;
        linop::diagonal("B=2 N=36", &complex("B=2", 8))?
            * linop::dct("B=2 N=36", "N", trig(TrigType::II))?.out("B N")?
            * weights
    });
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

fn neighbours(t: &mut Table) -> Result<()> {
    let same = ConvolveOptions::default();
    let (full, valid) = (same.mode(ConvolveMode::Full), same.mode(ConvolveMode::Valid));
    let circular = same.boundary(Boundary::Circular);
    t.real("convolve, same", linop::convolve("A=11", &real("A=4", 1), "A", same)?);
    t.complex("convolve, full, two axes", linop::convolve("C=2 A=5 B=7", &complex("A=3 B=4", 2), "A B", full)?);
    t.complex(
        "convolve, valid, three axes",
        linop::convolve("A=4 B=5 C=7", &complex("A=2 B=3 C=3", 3), "A B C", valid)?,
    );
    t.real("convolve, circular", linop::convolve("A=5 B=7", &real("A=3 B=2", 4), "A B", circular)?);
    t.real("convolve, circular, longer than x", linop::convolve("A=5", &real("A=8", 4), "A", circular)?);
    t.real("convolve, longer than x", linop::convolve("A=3 B=2", &real("A=7", 5), "A", same)?);
    t.complex("convolve, outer axis", linop::convolve("A=7 B=3 C=2", &complex("A=3", 6), "A", same)?);
    t.real("convolve, axes apart, reversed", linop::convolve("A=5 B=2 C=4 D=3", &real("A=3 C=2", 7), "C A", full)?);
    t.complex("convolve, strided", linop::convolve("A=11 B=9", &complex("A=4 B=3", 8), "A B", same.stride(2))?);
    t.real("convolve, strided, full", linop::convolve("A=11", &real("A=4", 9), "A", full.stride(3))?);
    t.real("convolve, strided, circular", linop::convolve("A=11", &real("A=4", 9), "A", circular.stride(4))?);
    t.complex("convolve, channels", linop::convolve("T=2 I=3 A=7 B=4", &complex("O=2 I=3 A=3 B=2", 10), "A B", same)?);
    t.complex(
        "convolve, many channels",
        linop::convolve("T=2 I=4 A=5 B=3", &complex("O=8 I=4 A=3 B=2", 20), "A B", same)?,
    );
    let real_layer = real("O=6 I=5 A=4", 21);
    t.real("convolve, many channels, strided", linop::convolve("I=5 A=11 B=2", &real_layer, "A", full.stride(2))?);
    t.real("convolve, new channels", linop::convolve("A=7 B=3", &real("A=3 O=2", 11), "A", same)?);
    t.real("convolve, summed channels", linop::convolve("A=7 I=3 B=3", &real("A=3 I=3", 12), "A", valid)?);
    t.complex("convolve_kernel, full", linop::convolve_kernel("A=4 B=3", &complex("A=7 B=5", 13), "A B", full)?);
    t.real("convolve_kernel, same, data of channels", linop::convolve_kernel("A=4", &real("C=2 A=11", 14), "A", same)?);
    t.real(
        "convolve_kernel, valid, transposed",
        linop::convolve_kernel("A=2 B=3", &real("B=5 A=7", 15), "B A", valid)?,
    );
    t.real("convolve_kernel, circular", linop::convolve_kernel("A=4", &real("A=7", 16), "A", circular)?);
    t.real("convolve, by transforms", linop::convolve("C=2 A=40", &real("A=200", 17), "A", full)?);
    t.complex(
        "convolve, by transforms, circular",
        linop::convolve("A=9 B=11", &complex("A=9 B=30", 18), "A B", circular)?,
    );
    let layer = complex("O=2 I=3 A=17 B=13", 19);
    t.complex("convolve, by transforms, channels", linop::convolve("I=3 A=12 B=14", &layer, "A B", same.stride(2))?);
    t.real("blocks, overlapping", linop::blocks("T=2 A=13", &[("A", 5, 2)], "T Q J")?);
    t.real("blocks, side by side", linop::blocks("A=6 B=7", &[("A", 3, 3), ("B", 2, 2)], "P Q I J")?);
    t.real("blocks, apart", linop::blocks("A=11 B=3", &[("A", 2, 5)], "B P I")?);
    t.real(
        "blocks, three axes",
        linop::blocks("A=5 B=7 C=4", &[("C", 2, 1), ("A", 3, 2), ("B", 7, 1)], "P Q R I J K")?,
    );
    t.real("blocks, adjoint", linop::blocks("A=9 B=5", &[("A", 4, 3), ("B", 3, 1)], "P Q I J")?.h());
    for border in [Border::Circular, Border::Zero, Border::Neumann] {
        let difference = |dims: &str, axes: &str| linop::finite_difference(dims, axes, border);
        t.real(&format!("finite_difference, {border:?}"), difference("A=5 B=7 C=3", "C A")?);
        t.real(&format!("finite_difference, one entry, {border:?}"), difference("A=1 B=2", "A B")?);
        let options = GradientOptions::default().border(border);
        t.real(&format!("gradient, {border:?}"), linop::gradient("A=5 B=1 C=3", "A B C", options.clone())?);
        t.real(&format!("laplacian, {border:?}"), linop::laplacian("T=2 A=5 B=7", "A B", options)?);
    }
    let spaced = GradientOptions::default().spacing(Some(vec![0.5, 2.0]));
    t.real("gradient, spaced", linop::gradient("D=3 A=5 B=7", "B A", spaced.clone())?);
    t.real("laplacian, spaced", linop::laplacian("A=5 B=7", "A B", spaced.clone())?);
    t.real("symmetrised_gradient", linop::symmetrised_gradient("D=2 A=5 B=3", "A B", spaced.ahead(false))?);
    let three = GradientOptions::default();
    t.real("symmetrised_gradient, three axes", linop::symmetrised_gradient("D=3 A=3 B=4 C=5", "A B C", three)?);
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
    let cubic = kernel(&[4.0], InterpolationKernel::Cubic, Product, Zero);
    t.real("interpolate, cubic", linop::interpolate("C=2 Y=6 X=7", &locs(&[8, 2], 8.0, 11), "Y X", &cubic, "C S")?);
    let cubic = cubic.boundary(Circular);
    t.real("interpolate, cubic, circular", linop::interpolate("N=9", &locs(&[7, 1], 12.0, 12), "N", &cubic, "S")?);
    let warp = |dims: &str, axes: &str, field: &[usize], kernel, boundary| {
        let options = WarpOptions::default().kernel(kernel).boundary(boundary);
        linop::warp(dims, axes, &locs(field, 2.5, 13), options)
    };
    t.real("warp, 1-D", warp("N=9 C=2", "N", &[1, 9], WarpKernel::Linear, Zero)?);
    t.real("warp, 2-D, axes turned", warp("Y=6 C=2 X=7", "X Y", &[2, 7, 6], WarpKernel::Cubic, Zero)?);
    t.real("warp, 2-D, circular", warp("C=2 Y=6 X=5", "Y X", &[2, 6, 5], WarpKernel::Cubic, Circular)?);
    t.real("warp, 3-D", warp("Z=3 Y=1 X=4", "Z Y X", &[3, 3, 1, 4], WarpKernel::Linear, Circular)?);
    let pair = |tol| NufftOptions::default().accuracy(Accuracy::Tol(tol)).toeplitz(Some(false));
    let nufft = |input: &str, d: usize, axes: &str, out: &str| {
        linop::nufft(input, &locs(&[2, 4, d], 5.0, 8), axes, pair(1e-3), out)
    };
    t.complex("nufft, 1-D", nufft("C=2 N=11", 1, "N", "C R S")?);
    t.complex("nufft, 2-D, axes turned", nufft("Y=6 C=2 X=5", 2, "X Y", "C R S")?);
    t.complex("nufft, 3-D", nufft("Z=3 Y=1 X=4", 3, "Z Y X", "R S")?);
    let type3 = |input: &str, d: usize, (sources, targets): (usize, usize), out: &str| {
        let options = NufftType3Options::default().tol(1e-3).toeplitz(Some(false));
        linop::nufft_type3(input, &locs(&[2, sources, d], 1.5, 14), &locs(&[targets, d], 1.0, 15), options, out)
    };
    t.complex("nufft, type 3, 1-D", type3("C=2 R=2 S=40", 1, (40, 70), "C M")?);
    t.complex("nufft, type 3, 2-D, by sums", type3("R=2 S=4", 2, (4, 5), "M")?);
    t.complex("nufft, type 3, 3-D, by sums, batched", type3("C=2 R=2 S=4", 3, (4, 5), "C M")?);
    let ndft = |input: &str, d: usize, axes: &str, out: &str| linop::ndft(input, &locs(&[2, 4, d], 9.0, 10), axes, out);
    t.complex("ndft, 1-D", ndft("C=2 N=11", 1, "N", "C R S")?);
    t.complex("ndft, 2-D, axes turned", ndft("Y=6 C=2 X=5", 2, "X Y", "C R S")?);
    t.complex("ndft, 3-D", ndft("Z=3 Y=1 X=4", 3, "Z Y X", "R S")?);
    t.complex("nufft, nearest", linop::nufft_lattice("Y=6 X=5", &locs(&[7, 2], 5.0, 9), "Y X", 1.5, "S")?);
    Ok(())
}

fn wavelets(t: &mut Table) -> Result<()> {
    use linop::WaveletBoundary::{Periodization, Symmetric, Zero};
    let options = |name: &str, levels, boundary| {
        Ok::<_, linops::Error>(
            linop::WaveletOptions::default().wavelet(name.parse()?).levels(Some(levels)).boundary(boundary),
        )
    };
    t.real("wavelet, 1-D, zeros beyond", linop::wavelet("B=2 N=13", "N", &options("db3", 2, Zero)?)?);
    t.real(
        "wavelet, outer axis, odd, periodic",
        linop::wavelet("N=11 B=3", "N", &options("bior2.2", 3, Periodization)?)?,
    );
    t.real("wavelet, 2-D, mirrored", linop::wavelet("Y=7 C=2 X=6", "X Y", &options("sym4", 2, Symmetric)?)?);
    t.real("wavelet, 2-D, bands that touch", linop::wavelet("Y=8 X=4", "Y X", &options("db2", 2, Periodization)?)?);
    t.real("wavelet, 3-D", linop::wavelet("Z=4 Y=5 X=3", "Z Y X", &options("haar", 2, Zero)?)?);
    t.real("wavelet, extent 1", linop::wavelet("A=1 B=3", "A", &options("haar", 2, Periodization)?)?);
    t.real("wavelet, no level", linop::wavelet("A=5 B=3", "A", &options("db4", 0, Zero)?)?);
    t.real("wavelet, inverse", linop::wavelet_inverse("Y=9 X=6", "Y X", &options("bior4.4", 2, Zero)?)?);
    t.real("wavelet, inverse, periodic", linop::wavelet_inverse("N=11", "N", &options("rbio3.1", 2, Periodization)?)?);
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
    t.complex("custom, added", linop::add((0..3).map(|k| Ok(&own * d(k)?)).collect::<Result<Vec<_>>>()?)?);
    t.real("custom, stacked", linop::stack(vec![own.clone(), own], None, Some(("S", 0)))?);
    Ok(())
}

fn projections(t: &mut Table) -> Result<()> {
    // Beyond a turn, on the axes, on diagonals, and in between.
    let angles = [0.0, 0.3, 0.25 * PI, 0.5 * PI, -2.0, 7.9];
    let (parallel, fan) = (|n| Geometry::parallel(&angles, n), |n| Geometry::fan(&angles, n, 25.0, 11.0));
    t.real("projection, parallel", linop::projection("Y=7 X=5", "Y X", &parallel(11), "A D")?);
    t.real("projection, axes turned, batch", linop::projection("Y=5 C=2 X=6", "X Y", &parallel(8), "C A D")?);
    let narrow = parallel(3).detector_size(0.6).center(Some(0.8)).pixel_size(0.7);
    t.real("projection, detector smaller than the image", linop::projection("C=5 Y=6 X=7", "Y X", &narrow, "C A D")?);
    let one = Geometry::parallel(&[0.4], 1).detector_size(2.5);
    t.real("projection, one ray", linop::projection("Y=5 X=4", "Y X", &one, "A D")?);
    t.real("projection, one pixel", linop::projection("Y=1 X=1", "Y X", &parallel(2), "A D")?);
    let fine = fan(13).detector_size(0.9).center(Some(5.2)).pixel_size(1.1);
    t.real("projection, fan", linop::projection("Y=8 X=7", "Y X", &fine, "A D")?);
    t.real("projection, wide fan", linop::projection("Y=9 X=5", "Y X", &Geometry::fan(&angles, 7, 7.5, 0.0), "A D")?);
    let cone = Geometry::cone(&angles[..4], 5, 6, 22.0, 9.0).row_center(Some(1.7)).slice_size(Some(0.8));
    t.real("projection, cone", linop::projection("Z=4 Y=3 X=5", "Z Y X", &cone, "A V U")?);
    t.real("projection, cones", linop::projection("Z=3 Y=4 C=2 X=3", "Z Y X", &cone, "C A V U")?);
    let filter = linop::FbpOptions::default().window(linop::RampWindow::Hann);
    t.real("fbp, parallel", linop::fbp("C=2 A=6 D=5", "A D", "Y=4 X=5", &parallel(5), filter)?);
    let turn: Vec<f64> = (0..5).map(|k| 0.4 * PI * f64::from(k) - 1.0).collect();
    let fan = Geometry::fan(&turn, 7, 20.0, 5.0).center(Some(2.7)).pixel_size(0.6);
    t.real("fbp, fan", linop::fbp("D=7 A=5", "A D", "Y=5 X=3", &fan, filter)?);
    let cone = Geometry::cone(&turn, 3, 4, 15.0, 0.0).row_size(Some(1.5)).center(Some(1.2));
    t.real("fbp, cone", linop::fbp("A=5 V=3 U=4", "A V U", "Z=4 Y=3 X=2", &cone, filter)?);
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
        linop::slice("A=7 B=3", &[("A", 0..4)])? * sum
    });
    let nested = linop::stack(vec![sense.clone(), -&sense], None, Some(("E", 0)))?;
    t.complex("stack of chains", nested.clone());
    t.complex("normal of a stack", nested.n());
    let sum = &sense + &(Complex32::new(0.0, 2.0) * &sense);
    t.complex("normal of a sum", sum.n());
    Ok(())
}

/// Linops over dims in front, and Kronecker products.
fn batches(t: &mut Table) -> Result<()> {
    let matrix = |dims: &str, input: &str, out: &str, seed| linop::dense(input, &complex(dims, seed), out);
    t.complex("over, dense", matrix("M=3 N=5", "N=5 B=2", "M B", 1)?.over("T=3 S=2")?);
    t.real("over, extent 1", linop::flip("A=5", "A")?.over("T=1")?);
    let maps = linop::diagonal("Y=5 X=4", &complex("C=2 Y=5 X=4", 2))?;
    let f = linop::fft(maps.output()?, "Y X", FftOptions::default().centered(true))?.out("C Ky Kx")?;
    let sense = linop::sampling(f.output()?, &mask("Ky=5 Kx=4", 0.5, 3), "C S")? * f * maps;
    t.complex("over, sense", sense.over("T=3")?);
    t.complex("over, a stack", linop::stack(vec![sense.clone(), -&sense], None, Some(("E", 1)))?.over("T=2")?);
    t.complex("over, between others", {
        let weights = linop::diagonal("T=3 Y=5 X=4", &complex("T=3 Y=5", 4))?;
        linop::sum("T=3 C=2 S=9".replace('9', &sense.size("S")?.to_string()), "C")? * sense.over("T=3")? * weights
    });
    let (a, b) = (matrix("P=4 A=3", "A=3", "P", 5)?, matrix("Q=2 B=5", "B=5", "Q", 6)?);
    t.complex("kron, matrices", linop::kron(vec![a.clone(), b.clone()])?);
    t.real("kron, of one", linop::kron(vec![linop::roll("A=5", &[("A", 2)])?])?);
    let f = linop::fft("Y=3 X=4", "Y", FftOptions::default().centered(true))?.out("Ky Kx")?;
    t.complex("kron, three, two dims of one", linop::kron(vec![f, b, linop::flip("C=3", "C")?])?);
    t.complex("kron, in the middle", linop::kron(vec![linop::identity("T=2")?, a, linop::identity("C=3 D=2")?])?);
    let up = linop::repeat("A=2", "N=3")?;
    t.real("kron, dims come and go", linop::kron(vec![up, linop::sum("B=4 C=2", "B C")?, linop::identity("D=3")?])?);
    Ok(())
}

/// What imaging calls by names of its own.
fn imaging(t: &mut Table) -> Result<()> {
    t.real("mean, outer and middle", linop::mean("A=3 B=5 C=2 D=3", "C A")?);
    t.real("mean, all", linop::mean("A=3 B=5", "A B")?);
    t.real("tile, two dims turned", linop::tile("A=3 B=2 C=5", "C=2 A=3")?);
    t.real("tile, one copy", linop::tile("A=3 B=2", "B=1")?);
    t.real("transpose", linop::transpose("A=3 B=5 C=2", "C A B")?);
    t.real("moveaxis", linop::moveaxis("A=3 B=5 C=2 D=4", "D A", 1)?);
    t.real("casorati", linop::casorati("T=3 C=2 Y=5 X=4", "Y X", "T")?);
    t.real("hankel, 1-D", linop::hankel("C=2 N=9", "N=4", "C P W")?);
    t.real("hankel, 2-D, outer dims", linop::hankel("Y=5 C=2 X=7", "X=3 Y=2", "C P W")?);
    t.real("hankel, whole windows and windows of 1", linop::hankel("Y=5 X=3", "Y=5 X=1", "P W")?);
    t.complex("subspace", linop::subspace("C=2 K=3 X=4", &complex("T=7 K=3", 1))?);
    let f = linop::fft("Y=5 X=4", "Y X", FftOptions::default().centered(true))?.out("Ky Kx")?;
    let cartesian = linop::sampling(f.output()?, &mask("Ky=5 Kx=4", 0.5, 2), "S")? * f;
    t.complex("sense", linop::sense(&complex("C=3 Y=5 X=4", 3), &cartesian, "C")?);
    t.complex("sense, two sets of maps", linop::sense(&complex("C=3 E=2 Y=5 X=4", 4), &cartesian, "C")?);
    let mut r = Random(5);
    let points = ArrayD::from_shape_fn(IxDyn(&[2, 6, 2]), |_| 2.0 * f64::from(r.uniform()));
    let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-3));
    let nufft = linop::nufft("Y=6 X=5", &points, "Y X", options.toeplitz(Some(false)), "R S")?;
    let sense = linop::sense(&complex("C=2 Y=6 X=5", 6), &nufft, "C")?;
    t.complex("sense, non-Cartesian", sense.clone());
    let field = ArrayD::from_shape_fn(IxDyn(&[6, 5]), |_| 40.0 * f64::from(r.uniform()));
    let times = ArrayD::from_shape_fn(IxDyn(&[6]), |i| 1e-3 * i[0] as f64);
    for of in [Segmentation::Time, Segmentation::Frequency] {
        let options = OffResonanceOptions::default().segments(Segments::Count(3)).of(of);
        t.complex(
            &format!("off_resonance, segments of {of:?}"),
            linop::off_resonance(&sense, (&field, "Y X"), (&times, "S"), options)?,
        );
    }
    Ok(())
}
