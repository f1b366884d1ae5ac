//! Random nested expressions with containers: the same bits for all settings on every device, and what the host says.

use crate::common::data::{Random, complex, indices, mask, real};
use crate::common::{apply_on, devices, full};
use linops::linop::{self, Align, FftOptions, Norm};
use linops::program::ThreadSettings;
use linops::{DType, Device, Linop, Result, Shape};
use ndarray::ArrayD;
use num_complex::Complex32;

/// The structure of an expression; built again for each choice of settings.
#[derive(Clone, Debug)]
enum Tree {
    Leaf { kind: usize, seed: u64 },
    Chain(Vec<Tree>),
    Scaled(Box<Tree>, f32),
    Normal(Box<Tree>),
    Container { kind: usize, of: Vec<Tree>, alike: Alike, seed: usize },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Alike {
    /// Copies of the first, with weights of their own.
    Structure,
    /// The first again and again.
    Same,
    Not,
}

fn tree(r: &mut Random, depth: usize) -> Tree {
    match if depth == 0 { 0 } else { r.below(10) } {
        0 | 1 => Tree::Leaf { kind: r.below(19), seed: r.below(1000) as u64 },
        2..=4 => Tree::Chain((0..1 + r.below(3)).map(|_| tree(r, depth - 1)).collect()),
        5 => Tree::Scaled(Box::new(tree(r, depth - 1)), r.uniform()),
        6 if r.below(2) == 0 => Tree::Normal(Box::new(tree(r, depth - 1))),
        _ => {
            let of = (0..1 + r.below(4)).map(|_| tree(r, depth - 1)).collect();
            let alike = [Alike::Structure, Alike::Same, Alike::Not][r.below(3)];
            Tree::Container { kind: r.below(8), of, alike, seed: r.below(100) }
        }
    }
}

fn names(shape: &Shape) -> String {
    shape.dims().iter().map(|d| format!("{d} ")).collect()
}

fn leaf(shape: &Shape, kind: usize, seed: u64, salt: u64) -> Result<Linop> {
    if shape.rank() == 0 {
        return linop::scalar(shape, -0.5);
    }
    let dim = shape.dims()[seed as usize % shape.rank()];
    let (name, n, same) = (dim.to_string(), shape.size(dim).unwrap(), names(shape));
    let (one, weight) = (format!("{name}={n}"), seed + 1000 * salt);
    let new = dim.next_unused(shape.dims());
    let rest: String = shape.dims().iter().filter(|d| **d != dim).map(|d| format!("{d} ")).collect();
    let fft = |inverse, centered, norm| {
        linop::fft(shape, &name, FftOptions::default().centered(centered).norm(norm).inverse(inverse))?.out(&same)
    };
    match kind {
        0 => linop::identity(shape),
        1 => linop::diagonal(shape, &complex(shape, weight)),
        2 => linop::diagonal(shape, &real(&one, weight)),
        3 => linop::diagonal(shape, &real(shape, weight)),
        4 => fft(false, true, Norm::Ortho),
        5 => fft(true, false, Norm::Backward),
        6 => fft(false, false, Norm::Ortho),
        7 => linop::pad(shape, format!("{name}={}", n + 1 + seed as usize % 3), Align::Center)?.out(&same),
        8 => linop::crop(shape, format!("{name}={}", n.div_ceil(2)), Align::Start)?.out(&same),
        9 => linop::flip(shape, &name),
        10 => linop::roll(shape, &[(&name, seed as i64 % 7)]),
        11 => linop::downsample(shape, &[(&name, 2, seed as usize % n.min(2))])?.out(&same),
        12 => linop::sum(shape, &name),
        13 => linop::repeat(shape, format!("{new}=2")),
        14 => linop::sampling(shape, &mask(&one, 0.6, seed), format!("{rest}{new}")),
        15 => linop::sampling_at(shape, &[(&name, indices(&[2 * n], n, seed))], format!("{rest}{new}")),
        16 => {
            let turned = shape.dims().iter().rev().map(|d| format!("{d} ")).collect::<String>();
            linop::rearrange(shape, &format!("{same} -> {turned}"), "")
        }
        17 => linop::zero(shape, shape),
        _ => fft(false, false, Norm::Ortho)?.compose(&linop::diagonal(shape, &complex(shape, weight))?),
    }
}

/// A dim that is not in the shape.
fn unused(shape: &Shape) -> String {
    let s: linops::Dim = "S".parse().unwrap();
    if shape.axis(s).is_none() { "S".into() } else { s.next_unused(shape.dims()).to_string() }
}

/// The linop behind something that makes its input out of `shape`: `count` times as long along a dim.
fn widened(a: &Linop, shape: &Shape, dim: &str, count: usize) -> Result<Linop> {
    let n = shape.size(dim.parse()?).unwrap();
    let pad = linop::pad(shape, format!("{dim}={}", n * count), Align::Center)?.out(names(shape))?;
    let roll = linop::roll(pad.output()?, &[(dim, 1)])?;
    linop::chain(vec![pad, roll, a.clone()])
}

/// The linop behind a weighted repetition along its first new dim.
fn repeated(a: &Linop, shape: &Shape, dim: &str, count: usize) -> Result<Linop> {
    let repeat = linop::repeat(shape, format!("{dim}={count}"))?;
    let turn = format!("{} -> {}", names(repeat.output()?), names(a.input()?));
    let turn = linop::rearrange(repeat.output()?, &turn, "")?;
    let weight = linop::diagonal(a.input()?, &complex(a.input()?, 3))?;
    linop::chain(vec![repeat, turn, weight, a.clone()])
}

fn build(t: &Tree, shape: &Shape, salt: u64, settings: &mut dyn FnMut() -> ThreadSettings) -> Result<Linop> {
    match t {
        Tree::Leaf { kind, seed } => {
            let a = leaf(shape, *kind, *seed, salt)?;
            if a.output()?.len() > 800 { linop::identity(shape) } else { Ok(a) }
        }
        Tree::Chain(parts) => {
            let mut all: Vec<Linop> = Vec::new();
            for t in parts {
                let at = all.last().map_or(Ok(shape), Linop::output)?.clone();
                all.push(build(t, &at, salt, settings)?);
            }
            linop::chain(all)
        }
        Tree::Scaled(t, c) => build(t, shape, salt, settings)?.scaled(*c),
        Tree::Normal(t) => Ok(build(t, shape, salt, settings)?.n()),
        Tree::Container { kind, of, alike, seed } => {
            let own = settings();
            let mut linops = Vec::new();
            for (k, t) in of.iter().enumerate() {
                let (t, salt) = match alike {
                    Alike::Structure => (&of[0], salt * 5 + k as u64),
                    Alike::Same => (&of[0], salt),
                    Alike::Not => (t, salt),
                };
                linops.push(build(t, shape, salt, settings)?);
            }
            let output = linops[0].output()?.clone();
            linops.retain(|a| a.output().is_ok_and(|o| *o == output));
            container(linops, shape, &output, *kind, *seed, own)
        }
    }
}

fn container(
    linops: Vec<Linop>,
    input: &Shape,
    output: &Shape,
    kind: usize,
    seed: usize,
    settings: ThreadSettings,
) -> Result<Linop> {
    let count = linops.len();
    let pick = |s: &Shape| s.dims().get(seed % s.rank().max(1)).map(|d| d.to_string());
    let place = |s: &Shape| seed % (s.rank() + 1);
    let (new_in, new_out) = (unused(input), unused(output));
    Ok(match (kind, pick(input), pick(output)) {
        (2, _, Some(o)) => linop::concat(linops, None, Some(&o))?.with_settings(settings),
        (3, Some(i), Some(o)) => {
            let a = linop::concat(linops, Some(&i), Some(&o))?.with_settings(settings);
            widened(&a, input, &i, count)?
        }
        (4, Some(i), _) => widened(&linop::concat(linops, Some(&i), None)?.with_settings(settings), input, &i, count)?,
        (5, ..) => linop::stack(linops, None, Some((&new_out, place(output))))?.with_settings(settings),
        (6, ..) => {
            let a = linop::stack(linops, Some((&new_in, place(input))), Some((&new_out, place(output))))?;
            repeated(&a.with_settings(settings), input, &new_in, count)?
        }
        (7, ..) => {
            let a = linop::stack(linops, Some((&new_in, place(input))), None)?;
            repeated(&a.with_settings(settings), input, &new_in, count)?
        }
        _ => linop::add(linops)?.with_settings(settings),
    })
}

fn set(threaded: bool, num_workers: Option<usize>) -> ThreadSettings {
    ThreadSettings { threaded, num_workers }
}

/// The bits, but one zero for both: WGSL lets an implementation ignore the sign of a zero ("Differences from IEEE-754"), and
/// drivers do, kernel by kernel.
fn bits(y: &ArrayD<Complex32>) -> Vec<(u32, u32)> {
    crate::common::bits(&y.mapv(|z| Complex32::new(z.re + 0.0, z.im + 0.0)))
}

fn norm(y: &ArrayD<Complex32>) -> f64 {
    y.iter().map(|z| f64::from(z.norm_sqr())).sum::<f64>().sqrt()
}

fn check(device: &Device, t: &Tree, shape: &Shape, seed: u64, complex_x: bool) {
    let a = build(t, shape, 1, &mut || set(false, None)).unwrap();
    if a.output().unwrap().len() > 4000 || a.plan(device, DType::F32).unwrap().regions.is_empty() {
        return;
    }
    for adjoint in [false, true] {
        let turned = |a: Linop| if adjoint { a.h() } else { a };
        let a = turned(a.clone());
        let what = format!("seed {seed}, adjoint {adjoint}, complex {complex_x}, on {}\n{t:?}\n{a}", device.name());
        let x = a.input().unwrap();
        let x = if complex_x { complex(x, 5) } else { real(x, 5) };
        let serial = apply_on(device, &a, &x).unwrap_or_else(|e| panic!("{e}: {what}"));
        let host = apply_on(&Device::host(), &a, &x).unwrap();
        let off = norm(&(&host - &serial));
        if off.is_nan() || off > 1e-5 * norm(&host).max(norm(&x.to_array().unwrap())) {
            let plan = a.plan(device, x.dtype()).unwrap();
            panic!("{off} from the host: {what}\n{}\n{plan}", a.program().unwrap());
        }
        let mut r = Random(seed);
        let mut any = move || if r.below(4) == 0 { set(false, None) } else { set(true, Some(1 + r.below(3))) };
        let choices: [&mut dyn FnMut() -> ThreadSettings; 4] =
            [&mut || set(true, None), &mut || set(true, Some(2)), &mut || set(true, Some(3)), &mut any];
        for (k, settings) in choices.into_iter().enumerate() {
            let b = turned(build(t, shape, 1, settings).unwrap());
            let y = apply_on(device, &b, &x).unwrap_or_else(|e| panic!("{e}: settings {k}, {what}"));
            if bits(&y) != bits(&serial) {
                let [one, other] = [&a, &b].map(|a| a.plan(device, x.dtype()).unwrap());
                panic!("the bits differ with settings {k}: {what}\n{}\n{one}\n{other}", b.program().unwrap());
            }
        }
    }
}

fn sweep(devices: &[Device], count: u64) {
    let shapes = ["A=4", "A=1", "A=3 B=2", "A=2 B=5", "A=3 B=1 C=2", "A=2 B=3 C=2", "A=1 B=8", "A=7 B=6"];
    for seed in 0..if full() { 25 * count } else { count } {
        let mut r = Random(seed.wrapping_mul(77_777));
        let shape: Shape = shapes[r.below(shapes.len())].parse().unwrap();
        let t = tree(&mut r, 4);
        for device in devices {
            check(device, &t, &shape, seed, seed % 2 == 0);
        }
    }
}

#[test]
fn random_containers_have_the_same_bits_for_all_settings() {
    sweep(&devices(), 150);
}

#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn so_they_have_with_small_bindings_and_kernels_for_gpus() {
    use crate::common::gpu_with;
    use linops::gpu::GpuOptions;
    let small = gpu_with(GpuOptions::default().max_binding(Some(4096)));
    let shape = Some(linops::internal::KernelShape::Gpu);
    let gpu = gpu_with(GpuOptions::default().shape(shape));
    sweep(&small.into_iter().chain(gpu).collect::<Vec<_>>(), 80);
}

#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn so_they_have_over_two_devices() {
    let Some(name) = crate::common::gpu().map(|g| g.name()) else { return };
    let both = [linops::gpu::Choice::Named(&name); 2];
    sweep(&[Device::gpus(&both).unwrap()], 80);
}
