//! How near single precision comes to the answer: the same problem solved as usual, and by a long run in f64.
//!
//! `cargo run --release --example long_run` takes a phantom. Measured data, as .npy:
//! `-- scan KSPACE MAPS R` (coil, ky, kx), of which every R-th line and the centre are kept; `-- radial KSPACE TRAJECTORY MAPS R`, every
//! R-th spoke of (spoke, sample, 2), in cycles per field of view along the image's axes. `-o picture.png` behind them writes both
//! images side by side. For total variation and wavelets it prints by how much the objective of the one is above that of the other,
//! and how far the images are apart; also with a smaller tolerance.

use linops::app::density::pipe_density;
use linops::app::{Cartesian, NonCartesian, ScanOptions, scan};
use linops::convex::{ConvexOptions, Problem, WaveletPenalty};
use linops::io::{Output, Window, panels, read_npy, write_picture};
use linops::linop::{self, GradientOptions, NufftOptions, WaveletBoundary, WaveletOptions};
use linops::{Device, Error, Linop, Result, Shape, Tensor, apply_f64};
use ndarray::{Array2, ArrayD, Axis, Slice, Zip};
use num_complex::{Complex32, Complex64};
use std::time::Instant;

type Wide = ArrayD<Complex64>;

/// A tolerance of the objective with which the image is near, too.
const EXACT: f64 = 1e-7;

/// ½‖A x − y‖² and what it is regularised by, over the dims "Ny Nx".
struct Data {
    a: Linop,
    y: Tensor,
    /// λ relative to max|Aᴴy|.
    weight: f64,
    /// Iterations in f64.
    long: usize,
    /// 1 where a coil sees a pixel.
    seen: Tensor,
}

fn wide(t: &Tensor) -> Result<Wide> {
    Ok(t.to(&Device::host())?.to_array()?.mapv(|v| Complex64::new(v.re.into(), v.im.into())))
}

fn norm(x: &Wide) -> f64 {
    x.iter().map(|v| v.norm_sqr()).sum::<f64>().sqrt()
}

/// ‖A‖² by power iteration, which comes to it from below, and a margin.
fn squared_norm(a: &Linop) -> Result<f64> {
    let mut x = Wide::from_shape_fn(a.input()?.extents(), |at| {
        let n: usize = ndarray::Dimension::slice(&at).iter().fold(7, |n, i| n * 31 + i);
        Complex64::new(((n * 37) % 101) as f64 / 50.0 - 1.0, 0.0)
    });
    let mut largest = 0.0;
    for _ in 0..30 {
        x /= Complex64::from(norm(&x));
        x = apply_f64(&a.n(), &x)?;
        largest = norm(&x);
    }
    Ok(1.02 * largest)
}

/// λ Σ w|K x| over groups, which are the first dim of K x where there is one.
struct Penalty {
    k: Linop,
    grouped: bool,
    /// Over the groups; 0 of what is free.
    weights: ArrayD<f64>,
    /// ‖K‖², at most.
    norm: f64,
}

impl Penalty {
    /// Total variation.
    fn tv(shape: &Shape, weight: f64) -> Result<Penalty> {
        let k = linop::gradient(shape.clone(), "Ny Nx", GradientOptions::default())?;
        Ok(Penalty { k, grouped: true, weights: ArrayD::from_elem(shape.extents(), weight), norm: 8.0 })
    }

    /// Details of an orthonormal wavelet transform: the coarsest approximation, in the corner, is free.
    fn details(shape: &Shape, weight: f64, penalty: &WaveletPenalty) -> Result<Penalty> {
        if shape.extents().iter().any(|n| n % (1 << penalty.levels) != 0) {
            let levels = penalty.levels;
            return Err(Error::Value(format!("{shape}: expected extents that can be halved {levels} times")));
        }
        let options = WaveletOptions::default().wavelet(penalty.wavelet.clone()).levels(Some(penalty.levels));
        let k = linop::wavelet(shape.clone(), "Ny Nx", &options.boundary(WaveletBoundary::Periodization))?;
        let corner: Vec<usize> = shape.extents().iter().map(|n| n >> penalty.levels).collect();
        let weights = ArrayD::from_shape_fn(k.output()?.extents(), |at| {
            let inside = ndarray::Dimension::slice(&at).iter().zip(&corner).all(|(i, n)| i < n);
            if inside { 0.0 } else { weight }
        });
        Ok(Penalty { k, grouped: false, weights, norm: 1.0 })
    }

    fn lengths(&self, v: &Wide) -> ArrayD<f64> {
        match self.grouped {
            true => v.map_axis(Axis(0), |d| d.iter().map(|v| v.norm_sqr()).sum::<f64>().sqrt()),
            false => v.mapv(|v| v.norm()),
        }
    }

    /// The nearest dual that is no longer than the weights.
    fn within(&self, mut p: Wide) -> Wide {
        let lengths = self.lengths(&p);
        let part = |l: f64, w: f64| Complex64::from(if l > w { w / l } else { 1.0 });
        let part = Zip::from(&lengths).and(&self.weights).map_collect(|l, w| part(*l, *w));
        p *= &if self.grouped { part.insert_axis(Axis(0)) } else { part };
        p
    }
}

/// Primal and dual steps (Condat, J. Optim. Theory Appl. 158:460, 2013) over x that are 0 where `seen` is: the objective, and x.
fn by_duals(data: &Data, penalty: &Penalty, seen: Option<&Wide>) -> Result<(f64, Wide)> {
    let (a, y, k) = (&data.a, wide(&data.y)?, &penalty.k);
    let b = apply_f64(&a.h(), &y)?;
    let curved = squared_norm(a)?;
    // Duals are as large as the weights, x as b over the norm; and as `Method::Pdhg` has it.
    let sizes = penalty.weights.iter().map(|w| w * w).sum::<f64>().sqrt() * curved / norm(&b);
    let sigma = 10.0 * sizes / penalty.norm.sqrt();
    let tau = 1.0 / (curved / 2.0 + sigma * penalty.norm);
    let mut x = Wide::zeros(b.raw_dim());
    let mut p = apply_f64(k, &x)?;
    for _ in 0..data.long {
        let slope = apply_f64(&a.n(), &x)? - &b + apply_f64(&k.h(), &p)?;
        let mut next = &x - slope * Complex64::from(tau);
        if let Some(seen) = seen {
            next *= seen;
        }
        let ahead = &next * Complex64::from(2.0) - &x;
        p = penalty.within(p + apply_f64(k, &ahead)? * Complex64::from(sigma));
        x = next;
    }
    let lengths = penalty.lengths(&apply_f64(k, &x)?);
    let regular: f64 = lengths.iter().zip(&penalty.weights).map(|(l, w)| l * w).sum();
    Ok((0.5 * norm(&(apply_f64(a, &x)? - &y)).powi(2) + regular, x))
}

/// A picture of magnitudes.
fn shown(x: &Wide) -> Array2<f32> {
    let (ny, nx) = (x.shape()[x.ndim() - 2], x.shape()[x.ndim() - 1]);
    Array2::from_shape_fn((ny, nx), |(i, j)| {
        x.as_standard_layout().as_slice().map_or(0.0, |s| s[i * nx + j].norm()) as f32
    })
}

fn compare(data: &Data, picture: &mut Vec<(String, Array2<f32>)>) -> Result<f64> {
    let device = Device::auto();
    let shape = data.a.input()?;
    let problem = || Problem::new(&data.a, &data.y.to(&device)?);
    let weight = data.weight * problem()?.scale()?;
    let levels = WaveletPenalty::default().over(shape.extents());
    let mut worst = 0.0f64;
    for name in ["tv", "l1-wavelet"] {
        // Details of pixels that no coil sees would be free.
        let seen = Some(&data.seen).filter(|_| name == "l1-wavelet");
        let (with, penalty) = match seen {
            None => (problem()?.tv(weight, "Ny Nx")?, Penalty::tv(shape, weight)?),
            Some(seen) => {
                let problem = problem()?.supported(seen)?;
                (problem.l1_wavelet(weight, "Ny Nx", &levels)?, Penalty::details(shape, weight, &levels)?)
            }
        };
        let start = Instant::now();
        let solved = with.solve(ConvexOptions::default())?;
        let (quick, start) = (start.elapsed().as_secs_f64(), Instant::now());
        let (least, want) = by_duals(data, &penalty, seen.map(wide).transpose()?.as_ref())?;
        let x = wide(&solved.x)?;
        let (above, apart) = (solved.objective / least - 1.0, norm(&(&x - &want)) / norm(&want));
        println!(
            "{name}: {} after {} iterations of {} ({quick:.2} s) has an objective above that of {} in f64 ({:.1} s) by {above:.1e}; \
             the images are {apart:.1e} apart",
            solved.stop,
            solved.iterations,
            solved.method,
            data.long,
            start.elapsed().as_secs_f64()
        );
        let start = Instant::now();
        let exact = with.solve(ConvexOptions::default().tol(EXACT).iterations(4000))?;
        println!(
            "{name}: with a tolerance of {EXACT:.0e} {} iterations ({:.2} s) and {:.1e} apart",
            exact.iterations,
            start.elapsed().as_secs_f64(),
            norm(&(&wide(&exact.x)? - &want)) / norm(&want)
        );
        picture.push((format!("{name}, f32"), shown(&x)));
        picture.push((format!("{name}, f64"), shown(&want)));
        worst = worst.max(above.abs());
        assert!(apart < 0.1, "the images are {apart:.1e} apart");
    }
    Ok(worst)
}

/// Every R-th place of an axis; of lines the centre too.
fn lines(n: usize, r: usize, centre: usize) -> Vec<bool> {
    (0..n).map(|k| k % r == 0 || k.abs_diff(n / 2) <= centre / 2).collect()
}

fn numbers(path: &str) -> Result<ArrayD<f64>> {
    Ok(read_npy(path)?.into_complex().mapv(|v| v.re.into()))
}

fn cartesian(kspace: ArrayD<Complex32>, maps: ArrayD<Complex32>, mask: Array2<f32>) -> Result<Data> {
    let y = kspace * &mask.mapv(Complex32::from).insert_axis(Axis(0));
    let a = Cartesian::new(maps.view(), mask.view().into_dyn())?.linop().clone();
    Ok(Data { a, y: Tensor::from_array(y, "C Ky Kx")?, weight: 0.002, long: 12000, seen: seen(&maps)? })
}

fn seen(maps: &ArrayD<Complex32>) -> Result<Tensor> {
    let power = maps.map_axis(Axis(0), |coils| coils.iter().map(|v| v.norm_sqr()).sum::<f32>());
    Tensor::from_array(power.mapv(|p| f32::from(p > 0.0)), "Ny Nx")
}

fn read(words: &[String]) -> Result<Data> {
    let factor = |text: &String| text.parse::<usize>().map_err(|e| Error::Value(format!("R is {text}: {e}")));
    let every = |n: usize| Slice::new(0, None, n as isize);
    match words {
        [] => {
            let scan = scan(&ScanOptions::default().ny(48).nx(40).coils(4).acceleration(3))?;
            let data = cartesian(scan.kspace.into_dyn(), scan.maps.into_dyn(), scan.mask)?;
            Ok(Data { long: 1000, ..data })
        }
        [kind, k, m, r] if kind == "scan" => {
            let (kspace, maps) = (read_npy(k)?.into_complex(), read_npy(m)?.into_complex());
            let kept = lines(kspace.shape()[1], factor(r)?, kspace.shape()[1] / 8);
            let mask = Array2::from_shape_fn((kspace.shape()[1], kspace.shape()[2]), |(y, _)| f32::from(kept[y]));
            cartesian(kspace, maps, mask)
        }
        [kind, k, t, m, r] if kind == "radial" => {
            let r = factor(r)?;
            let trajectory = numbers(t)?.slice_axis(Axis(0), every(r)).to_owned();
            let kspace = read_npy(k)?.into_complex().slice_axis(Axis(1), every(r)).to_owned();
            let maps = read_npy(m)?.into_complex();
            let density = pipe_density(trajectory.view(), &maps.shape()[1..], 30, &Device::host())?;
            let model = NonCartesian::new(maps.view(), trajectory.view(), density.view(), NufftOptions::default())?;
            let y = model.data(kspace.view())?;
            Ok(Data { a: model.linop().clone(), y, weight: 0.002, long: 1500, seen: seen(&maps)? })
        }
        _ => Err(Error::Value("expected scan KSPACE MAPS R, or radial KSPACE TRAJECTORY MAPS R".into())),
    }
}

fn main() -> Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let output = words.iter().position(|w| w == "-o").map(|at| words.split_off(at));
    let data = read(&words)?;
    let mut picture = Vec::new();
    let above = compare(&data, &mut picture)?;
    if let Some(path) = output.as_ref().and_then(|o| o.get(1)) {
        let items: Vec<_> = picture.iter().map(|(name, x)| (name.as_str(), x.clone(), Window::default())).collect();
        write_picture(Output::create(path, &["png"], true)?, &panels(&items))?;
        println!("wrote {path}");
    }
    assert!(above < 1e-3, "the objectives are {above:.1e} apart");
    Ok(())
}
