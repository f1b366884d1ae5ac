//! Works of imaging: SENSE with points and with lines, its normals and solves, non-uniform transforms, Toeplitz normals.

use super::super::workloads::noise;
use super::works::{Scale, Work, values};
use linops::linop::{self, Accuracy, FftOptions, NufftOptions};
use linops::{Linop, Result, Tensor};
use ndarray::ArrayD;

/// Iterations of conjugate gradients.
const ITERATIONS: usize = 30;

/// Parts of the coils, one after the other: where the spectra of all do not fit the device's cache, those of a part may.
const PARTS: usize = 4;

/// What a Cartesian scan has measured.
#[derive(Clone, Copy)]
enum Mask {
    Points,
    Lines,
}

pub fn works(scale: Scale) -> Vec<Work> {
    let mut all = sense(scale);
    all.extend(toeplitz(scale));
    all.extend(points(scale));
    all
}

fn sense(scale: Scale) -> Vec<Work> {
    // Coils, and the extents of the image.
    let planes: &[(usize, &[usize])] =
        scale.of(&[(8, &[256, 256]), (32, &[512, 512]), (8, &[128, 128, 128])], &[(8, &[96, 96])]);
    let of = |&(coils, image): &(usize, &'static [usize])| {
        let name = format!("SENSE {coils} x {}", extents(image));
        let normal = move |mask| move || Ok(cartesian(coils, image, mask)?.n());
        [
            Work::apply(format!("{name}, forward"), move || cartesian(coils, image, Mask::Points)),
            Work::apply(format!("{name}, normal, points"), normal(Mask::Points)),
            Work::apply(format!("{name}, normal, lines"), normal(Mask::Lines)),
            Work::apply(format!("{name}, normal, points, {} coils at a time", coils / PARTS), move || {
                let parts = (0..PARTS).map(|_| Ok(cartesian(coils / PARTS, image, Mask::Points)?.n()));
                linop::add(parts.collect::<Result<Vec<_>>>()?)
            }),
            Work::solve(format!("{name}, CG, points"), ITERATIONS, normal(Mask::Points)),
            Work::solve(format!("{name}, CG, lines"), ITERATIONS, normal(Mask::Lines)),
        ]
    };
    planes.iter().flat_map(of).collect()
}

/// M F S of coils and an image.
fn cartesian(coils: usize, image: &[usize], mask: Mask) -> Result<Linop> {
    let (x, k) = (dims("X", image), dims("K", image));
    let maps = values(3, &format!("C={coils} {x}"))?;
    let f = linop::fft(x.as_str(), names("X", image), FftOptions::default().centered(true))?.out(names("K", image))?;
    let measured = match mask {
        Mask::Points => chosen(5, &k, 0.4)?,
        Mask::Lines => chosen(5, &dims("K", &image[..1]), 0.4)?,
    };
    linop::sense(&maps, &(linop::diagonal(k.as_str(), &measured)? * f), "C")
}

/// 1 with this probability, else 0.
fn chosen(seed: u32, dims: &str, part: f32) -> Result<Tensor> {
    let shape: linops::Shape = dims.parse()?;
    let mut next = noise(seed);
    let all: Vec<f32> = (0..shape.len()).map(|_| f32::from(u8::from(0.5 + 0.5 * next() < part))).collect();
    Tensor::from_slice(dims, &all)
}

/// Normals of scans along curves: as a convolution, and as a pair of transforms.
fn toeplitz(scale: Scale) -> Vec<Work> {
    let scans: &[(usize, &[usize], usize)] = scale.of(
        &[(8, &[256, 256], 200_000), (32, &[384, 384], 400_000), (8, &[128, 128, 128], 1_000_000)],
        &[(4, &[64, 64], 8_000)],
    );
    let of = |&(coils, image, count): &(usize, &'static [usize], usize)| {
        let name = format!("normal of {coils} x {}, {count} points", extents(image));
        let normal = move |convolution| {
            move || {
                let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-4)).toeplitz(Some(convolution));
                let maps = values(3, &format!("C={coils} {}", dims("X", image)))?;
                let n = linop::nufft(dims("X", image), &located(image, count), names("X", image), options, "S")?;
                Ok(linop::sense(&maps, &n, "C")?.n())
            }
        };
        [Work::apply(format!("{name}, Toeplitz"), normal(true)), Work::apply(format!("{name}, pair"), normal(false))]
    };
    scans.iter().flat_map(of).collect()
}

fn points(scale: Scale) -> Vec<Work> {
    let grids: &[(&[usize], usize)] = scale
        .of(&[(&[256, 256], 500_000), (&[128, 128, 128], 2_000_000)], &[(&[96, 96], 10_000), (&[24, 24, 24], 6_000)]);
    let mut all = Vec::new();
    for &(image, count) in grids {
        for coils in [1, 8] {
            for tol in [1e-3, 1e-6] {
                let forward = move || {
                    let options = NufftOptions::default().accuracy(Accuracy::Tol(tol)).toeplitz(Some(false));
                    let input = format!("C={coils} {}", dims("X", image));
                    linop::nufft(input, &located(image, count), names("X", image), options, "C S")
                };
                let what = format!("{}, {count} points, {coils} coils, {tol:e}", extents(image));
                all.push(Work::apply(format!("type 2 {what}"), forward));
                all.push(Work::apply(format!("type 1 {what}"), move || Ok(forward()?.h())));
            }
        }
    }
    all
}

/// Points anywhere in k-space, in cycles per field of view.
fn located(image: &[usize], count: usize) -> ArrayD<f64> {
    let mut next = noise(11);
    let shape = [count, image.len()];
    ArrayD::from_shape_fn(&shape[..], |i| 0.5 * image[i[1]] as f64 * f64::from(next()))
}

/// "256x256"
fn extents(image: &[usize]) -> String {
    image.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

/// "X0=256 X1=256"
fn dims(letter: &str, image: &[usize]) -> String {
    image.iter().enumerate().map(|(k, n)| format!("{letter}{k}={n}")).collect::<Vec<_>>().join(" ")
}

/// "X0 X1"
fn names(letter: &str, image: &[usize]) -> String {
    (0..image.len()).map(|k| format!("{letter}{k}")).collect::<Vec<_>>().join(" ")
}
