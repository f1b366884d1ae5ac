//! Works of every other family of kernels: so that none is without a figure.

use super::super::workloads::noise;
use super::works::{Scale, Work, reals, values};
use linops::linop::{
    self, Align, Border, ConvolveMode, ConvolveOptions, Geometry, GradientOptions, InterpolateOptions,
    InterpolationKernel, NufftType3Options, RfftOptions, TrigOptions, WarpKernel, WarpOptions, WaveletOptions,
};
use linops::{Linop, Result};
use ndarray::{Array1, ArrayD, ArrayView2, ArrayViewMut2};
use num_complex::Complex32;
use std::f64::consts::PI;

pub fn works(scale: Scale) -> Vec<Work> {
    // A batch of images.
    let (b, n) = (scale.of(16, 2), scale.of(512, 96));
    let images = format!("B={b} Y={n} X={n}");
    let mut all = transforms(&images);
    all.extend(moves(&images));
    all.extend(neighbours(&images, n));
    all.extend(samples(scale));
    all.extend(projections(scale));
    all.extend(own(scale));
    all
}

/// A work on images, and its adjoint.
fn both(name: &str, images: &str, make: impl Fn(&str) -> Result<Linop> + Clone + 'static) -> [Work; 2] {
    let (forward, images) = (make.clone(), images.to_string());
    let dims = images.clone();
    [Work::apply(name, move || forward(&dims)), Work::apply(format!("{name}, adjoint"), move || Ok(make(&images)?.h()))]
}

fn one(name: &str, images: &str, make: impl Fn(&str) -> Result<Linop> + 'static) -> [Work; 1] {
    let images = images.to_string();
    [Work::apply(name, move || make(&images))]
}

fn transforms(images: &str) -> Vec<Work> {
    let mut all = Vec::new();
    all.extend(both("rfft", images, |d| linop::rfft(d, "Y X", RfftOptions::default())));
    all.extend(one("dct", images, |d| linop::dct(d, "Y X", TrigOptions::default())));
    all.extend(one("dst", images, |d| linop::dst(d, "Y X", TrigOptions::default())));
    all.extend(both("wavelet", images, |d| {
        linop::wavelet(d, "Y X", &WaveletOptions::default().wavelet("db4".parse()?).levels(Some(3)))
    }));
    all
}

fn moves(images: &str) -> Vec<Work> {
    let mut all = Vec::new();
    all.extend(one("transpose", images, |d| linop::transpose(d, "X B Y")));
    all.extend(one("zeros", images, |d| linop::zero(d, d)));
    all.extend(one("roll and flip", images, |d| {
        Ok(linop::flip(d, "X")?.keep() * linop::roll(d, &[("Y", 5), ("X", -7)])?.keep())
    }));
    all.extend(both("pad", images, |d| {
        let shape: linops::Shape = d.parse()?;
        let twice = 2 * shape.extents().last().copied().unwrap_or(1);
        linop::pad(d, format!("Y={twice} X={twice}"), Align::Center)
    }));
    all.extend(both("sum of rows", images, |d| linop::sum(d, "X")));
    all.extend(one("sum of images", images, |d| linop::sum(d, "B")));
    all.extend(one("sum of all", images, |d| linop::sum(d, "B Y X")));
    all.extend(one("weights of images", images, |d| linop::diagonal(d, &values(3, d)?)));
    all.extend(one("subspace", images, |d| {
        let shape: linops::Shape = d.parse()?;
        linop::subspace(d, &values(5, &format!("T=12 B={}", shape.extents().first().copied().unwrap_or(1)))?)
    }));
    all.extend(one("concat of two", images, |d| {
        let half = |seed| linop::diagonal(d, &values(seed, d)?);
        linop::concat(vec![half(1)?, half(2)?], None, Some("B"))
    }));
    all
}

fn neighbours(images: &str, n: usize) -> Vec<Work> {
    let same = ConvolveOptions::default();
    let mut all = Vec::new();
    all.extend(both("convolution of 5 x 5 taps", images, move |d| {
        linop::convolve(d, &reals(1, "Y=5 X=5")?, "Y X", same)
    }));
    all.extend(one("convolution of 31 x 31", images, move |d| {
        linop::convolve(d, &values(2, "Y=31 X=31")?, "Y X", same.mode(ConvolveMode::Full))
    }));
    all.extend(one("convolution between channels", &format!("I=8 Y={n} X={n}"), move |d| {
        linop::convolve(d, &reals(3, "O=8 I=8 Y=3 X=3")?, "Y X", same)
    }));
    all.extend(both("blocks of 8 x 8, apart by 4", images, |d| {
        linop::blocks(d, &[("Y", 8, 4), ("X", 8, 4)], "B P Q I J")
    }));
    all.extend(one("finite differences", images, |d| linop::finite_difference(d, "Y X", Border::Neumann)));
    all.extend(both("gradient", images, |d| linop::gradient(d, "Y X", GradientOptions::default())));
    all.extend(one("laplacian", images, |d| linop::laplacian(d, "Y X", GradientOptions::default())));
    let displacement = move |_: &[usize]| {
        let mut next = noise(17);
        ArrayD::from_shape_fn(&[2, n, n][..], |_| 3.0 * f64::from(next()))
    };
    all.extend(both("warp, cubic", images, move |d| {
        linop::warp(d, "Y X", &displacement(&[n]), WarpOptions::default().kernel(WarpKernel::Cubic))
    }));
    all
}

fn samples(scale: Scale) -> Vec<Work> {
    let (c, n, m) = (scale.of(8, 4), scale.of(65_536, 2048), scale.of(100_000, 3000));
    let lines = format!("C={c} N={n}");
    let mut all = Vec::new();
    all.extend(both("samples at indices", &lines, move |d| {
        let mut next = noise(19);
        let at = Array1::from_shape_fn(m, |_| ((0.5 + 0.5 * next()) * (n - 1) as f32) as i64);
        linop::sampling_at(d, &[("N", at.into_dyn())], "C S")
    }));
    let grid = scale.of(512, 64);
    let kaiser =
        InterpolateOptions::default().width(vec![4.0, 4.0]).kernel(InterpolationKernel::KaiserBessel { beta: 8.0 });
    let image = format!("C={c} Y={grid} X={grid}");
    all.extend(both("interpolation", &image, move |d| {
        let mut next = noise(23);
        let at = ArrayD::from_shape_fn(&[m, 2][..], |_| 0.5 * grid as f64 * f64::from(1.0 + next()));
        linop::interpolate(d, &at, "Y X", &kaiser, "C S")
    }));
    let sources = scale.of(20_000, 500);
    all.extend(one("non-uniform to non-uniform", &format!("S={sources}"), move |d| {
        let mut next = noise(29);
        let from = ArrayD::from_shape_fn(&[sources, 2][..], |_| 10.0 * f64::from(next()));
        let to = ArrayD::from_shape_fn(&[sources, 2][..], |_| 5.0 * f64::from(next()));
        linop::nufft_type3(d, &from, &to, NufftType3Options::default().tol(1e-4).toeplitz(Some(false)), "M")
    }));
    all
}

fn projections(scale: Scale) -> Vec<Work> {
    let (n, views) = (scale.of(512, 64), scale.of(360, 24));
    let (m, cones) = (scale.of(128, 16), scale.of(90, 8));
    let turn =
        move |views: usize, whole: f64| -> Vec<f64> { (0..views).map(|k| whole * k as f64 / views as f64).collect() };
    let mut all = Vec::new();
    all.extend(both("projection, parallel", &format!("Y={n} X={n}"), move |d| {
        linop::projection(d, "Y X", &Geometry::parallel(&turn(views, PI), n * 3 / 2), "A D")
    }));
    all.extend(both("projection, fan", &format!("Y={n} X={n}"), move |d| {
        let far = n as f64;
        linop::projection(d, "Y X", &Geometry::fan(&turn(views, 2.0 * PI), n * 2, 2.0 * far, far), "A D")
    }));
    all.extend(both("projection, cone", &format!("Z={m} Y={m} X={m}"), move |d| {
        let far = m as f64;
        let cone = Geometry::cone(&turn(cones, 2.0 * PI), m * 2, m * 2, 2.0 * far, far);
        linop::projection(d, "Z Y X", &cone, "A V U")
    }));
    all.extend(both("filtered back-projection", &format!("A={views} D={}", n * 3 / 2), move |d| {
        linop::fbp(
            d,
            "A D",
            format!("Y={n} X={n}"),
            &Geometry::parallel(&turn(views, PI), n * 3 / 2),
            Default::default(),
        )
    }));
    all
}

/// Operators of a user's own: functions, and on a GPU kernels.
fn own(scale: Scale) -> Vec<Work> {
    let n: usize = scale.of(1024, 128);
    let halve = |x: ArrayView2<Complex32>, mut y: ArrayViewMut2<Complex32>| y.zip_mut_with(&x, |y, x| *y = 0.5 * x);
    let functions = Work::apply("functions of one's own", move || {
        linop::from_fn(format!("Y={n} X={n}"), format!("Ky={n} Kx={n}"), halve, halve)
    });
    #[cfg(not(feature = "gpu"))]
    return vec![functions];
    #[cfg(feature = "gpu")]
    let kernels = Work::apply("kernels of one's own", move || {
        let text = "@group(0) @binding(0) var<storage, read> x: array<T>;
            @group(0) @binding(1) var<storage, read_write> y: array<T>;
            @compute @workgroup_size(256)
            fn main(@builtin(global_invocation_id) id: vec3<u32>) {
                if (id.x < arrayLength(&y)) { y[id.x] = 0.5 * x[id.x]; }
            }";
        let half = linop::Wgsl::new(text);
        linop::wgsl_or(&half, &half, &linop::scalar(format!("N={}", n * n / 4), 0.5)?)
    });
    #[cfg(feature = "gpu")]
    vec![functions, kernels]
}
