//! Undersampled scans with total variation and with wavelets, against the least objective by a long run in f64.

use crate::common::data::Random;
use crate::common::devices;
use crate::common::minimiser::{Dense, dense, vector};
use linops::app::density::ramp_density;
use linops::app::regularise::{Kind, Regularisation, Regulariser, Weight};
use linops::app::{NonCartesian, ScanOptions, Sense, scan, trajectory};
use linops::convex::{ConvexOptions, Method, Problem, Solved, WaveletPenalty};
use linops::linop::{self, Geometry, NufftOptions, WaveletBoundary, WaveletOptions};
use linops::solve::Stop;
use linops::{Device, Linop, Tensor};
use nalgebra::DVector;
use num_complex::{Complex32, Complex64};

const NY: usize = 20;
const NX: usize = 16;

type Column = DVector<Complex64>;

/// A scan of the phantom with noise, by its linop.
struct Scanned {
    name: String,
    a: Linop,
    y: Tensor,
}

impl Scanned {
    fn of(name: String, a: &Linop) -> Scanned {
        let reference = scan(&ScanOptions::default().ny(NY).nx(NX).acceleration(1).centre_lines(0)).unwrap().reference;
        let x = Tensor::from_array(reference, a.input().unwrap().dims()).unwrap();
        let mut random = Random(5);
        let clean = a.apply(&x).unwrap().to_vec().unwrap();
        let noisy = clean.iter().map(|v| match *v == Complex32::default() {
            true => *v,
            false => v + 0.02 * Complex32::new(random.uniform(), random.uniform()),
        });
        let y = Tensor::from_vec(a.output().unwrap().clone(), noisy.collect::<Vec<_>>()).unwrap();
        Scanned { name, a: a.clone(), y }
    }

    fn cartesian(acceleration: usize) -> Scanned {
        let options = ScanOptions::default().ny(NY).nx(NX).coils(4).acceleration(acceleration).centre_lines(4);
        let scan = scan(&options).unwrap();
        let sense = Sense::new(scan.maps.view(), scan.mask.view()).unwrap();
        Scanned::of(format!("cartesian, R = {acceleration}"), sense.linop())
    }

    fn radial(acceleration: usize) -> Scanned {
        let scan = scan(&ScanOptions::default().ny(NY).nx(NX).coils(4).acceleration(1).centre_lines(0)).unwrap();
        let spokes = (std::f64::consts::FRAC_PI_2 * NY as f64) as usize / acceleration;
        let traj = trajectory::golden_radial(spokes, 2 * NX, NX).unwrap();
        let density = ramp_density(traj.view().into_dyn()).unwrap();
        let maps = scan.maps.view().into_dyn();
        let model = NonCartesian::new(maps, traj.view().into_dyn(), density.view(), NufftOptions::default()).unwrap();
        Scanned::of(format!("radial, R = {acceleration}"), model.linop())
    }
}

/// Projections of the phantom with noise, real.
fn views(count: usize) -> Scanned {
    let angles: Vec<f64> = (0..count).map(|k| 0.03 + k as f64 * std::f64::consts::PI / count as f64).collect();
    let geometry = Geometry::parallel(&angles, 27);
    let a = linop::projection(format!("Ny={NY} Nx={NX}"), "Ny Nx", &geometry, "A D").unwrap();
    let reference = scan(&ScanOptions::default().ny(NY).nx(NX).acceleration(1).centre_lines(0)).unwrap().reference;
    let x = Tensor::from_array(reference.mapv(|v| v.re), a.input().unwrap().dims()).unwrap();
    let mut random = Random(7);
    let clean = a.apply(&x).unwrap().to_real_vec().unwrap();
    let noisy: Vec<f32> = clean.iter().map(|v| v + 0.05 * random.uniform()).collect();
    let y = Tensor::from_vec(a.output().unwrap().clone(), noisy).unwrap();
    Scanned { name: format!("{count} views"), a, y }
}

/// K of λ Σ w|K x|, groups of which lie one behind the other.
struct Term {
    weight: f64,
    members: usize,
    weights: Vec<f64>,
    k: Box<dyn Fn(&Column) -> Column>,
    back: Box<dyn Fn(&Column) -> Column>,
    /// KᴴK.
    normal: Dense,
}

impl Term {
    fn total_variation(weight: f64) -> Term {
        let n = NY * NX;
        let at = |i: usize, j: usize| i * NX + j;
        let k = move |x: &Column| {
            let mut g = Column::zeros(2 * n);
            for (i, j) in (0..NY).flat_map(|i| (0..NX).map(move |j| (i, j))) {
                if i + 1 < NY {
                    g[at(i, j)] = x[at(i + 1, j)] - x[at(i, j)];
                }
                if j + 1 < NX {
                    g[n + at(i, j)] = x[at(i, j + 1)] - x[at(i, j)];
                }
            }
            g
        };
        let back = move |g: &Column| {
            let mut x = Column::zeros(n);
            for (i, j) in (0..NY).flat_map(|i| (0..NX).map(move |j| (i, j))) {
                if i + 1 < NY {
                    x[at(i + 1, j)] += g[at(i, j)];
                    x[at(i, j)] -= g[at(i, j)];
                }
                if j + 1 < NX {
                    x[at(i, j + 1)] += g[n + at(i, j)];
                    x[at(i, j)] -= g[n + at(i, j)];
                }
            }
            x
        };
        let mut normal = Dense::zeros(n, n);
        for column in 0..n {
            let mut unit = Column::zeros(n);
            unit[column] = Complex64::from(1.0);
            normal.set_column(column, &back(&k(&unit)));
        }
        Term { weight, members: 2, weights: vec![1.0; n], k: Box::new(k), back: Box::new(back), normal }
    }

    /// Two levels of db2, the coarsest approximation free.
    fn wavelet(weight: f64) -> Term {
        let options = WaveletOptions::default()
            .wavelet("db2".parse().unwrap())
            .levels(Some(2))
            .boundary(WaveletBoundary::Periodization);
        let w = linop::wavelet(format!("Ny={NY} Nx={NX}"), "Ny Nx", &options).unwrap().keep();
        let (w, n) = (dense(&w), NY * NX);
        let back = w.adjoint();
        let weights = (0..n).map(|i| f64::from(i / NX >= NY / 4 || i % NX >= NX / 4)).collect();
        Term {
            weight,
            members: 1,
            weights,
            k: Box::new(move |x| &w * x),
            back: Box::new(move |c| &back * c),
            normal: Dense::identity(n, n),
        }
    }

    fn value(&self, kx: &Column) -> f64 {
        let n = kx.len() / self.members;
        let size = |i: usize| (0..self.members).map(|m| kx[m * n + i].norm_sqr()).sum::<f64>().sqrt();
        self.weight * (0..n).map(|i| self.weights[i] * size(i)).sum::<f64>()
    }

    fn prox(&self, v: &Column, step: f64) -> Column {
        let n = v.len() / self.members;
        let mut out = v.clone();
        for i in 0..n {
            let size = (0..self.members).map(|m| v[m * n + i].norm_sqr()).sum::<f64>().sqrt();
            let factor = (1.0 - step * self.weight * self.weights[i] / size.max(1e-300)).max(0.0);
            (0..self.members).for_each(|m| out[m * n + i] *= factor);
        }
        out
    }
}

/// ½‖A x − y‖² in f64.
struct Data {
    gram: Dense,
    b: Column,
    square: f64,
}

impl Data {
    fn of(scanned: &Scanned) -> Data {
        let a = dense(&scanned.a);
        let y = vector(&scanned.y);
        let adjoint = a.adjoint();
        Data { b: &adjoint * &y, square: y.norm_squared(), gram: adjoint * a }
    }

    fn objective(&self, term: &Term, x: &Column) -> f64 {
        0.5 * (x.dotc(&(&self.gram * x)).re + self.square) - self.b.dotc(x).re + term.value(&(term.k)(x))
    }

    /// The least objective and its image, by alternating directions whose systems are solved exactly, from several penalties.
    fn least(&self, term: &Term) -> (f64, Column) {
        let norm = self.gram.diagonal().iter().map(|v| v.re).fold(0.0, f64::max);
        let run = |rho: f64| {
            let system = &self.gram + &term.normal * Complex64::from(rho);
            let inverse = system.try_inverse().expect("a regular system");
            let mut x = Column::zeros(self.b.len());
            let mut z = (term.k)(&x);
            let mut u = z.clone();
            for _ in 0..LONG {
                x = &inverse * (&self.b + (term.back)(&(&z - &u)) * Complex64::from(rho));
                let kx = (term.k)(&x);
                let relaxed = &kx * Complex64::from(1.7) - &z * Complex64::from(0.7);
                z = term.prox(&(&relaxed + &u), 1.0 / rho);
                u += relaxed - &z;
            }
            (self.objective(term, &x), x)
        };
        let [a, b] = [0.03, 0.3].map(|part| run(part * norm));
        assert!((a.0 / b.0 - 1.0).abs() < 1e-4, "the long runs are not at rest: {} and {}", a.0, b.0);
        if a.0 < b.0 { a } else { b }
    }
}

/// Adds a term.
type With<'a> = &'a dyn Fn(Problem) -> Problem;

/// Iterations of the long runs.
const LONG: usize = 1500;

/// To within the tolerance in the objective; in the image to within 10⁻³ with a tolerance of 10⁻⁶.
fn compare(scanned: &Scanned, relative: f64, most: usize) {
    let data = Data::of(scanned);
    let weight = relative * Problem::new(&scanned.a, &scanned.y).unwrap().scale().unwrap();
    let penalty = WaveletPenalty::default().wavelet("db2".parse().unwrap()).levels(2);
    let variation = |p: Problem| p.tv(weight, "Ny Nx").unwrap();
    let wavelet = |p: Problem| p.l1_wavelet(weight, "Ny Nx", &penalty).unwrap();
    let both: [(&str, Term, With, Method); 2] = [
        ("tv", Term::total_variation(weight), &variation, Method::Admm),
        ("l1-wavelet", Term::wavelet(weight), &wavelet, Method::Fista),
    ];
    for (name, term, with, method) in both {
        let (least, image) = data.least(&term);
        for device in devices() {
            let problem = with(Problem::new(&scanned.a, &scanned.y.to(&device).unwrap()).unwrap());
            let solved: Solved = problem.solve(ConvexOptions::default()).unwrap();
            let values = solved.x.to(&linops::Device::host()).unwrap().to_vec().unwrap();
            let x =
                Column::from_iterator(values.len(), values.iter().map(|v| Complex64::new(v.re.into(), v.im.into())));
            let found = data.objective(&term, &x);
            let over = found / least - 1.0;
            let from_image = |x: &Column| (x - &image).norm() / image.norm();
            let apart = from_image(&x);
            println!(
                "{}, {name} {relative}, {device}: {} iterations, over by {over:.1e}, image {apart:.1e}",
                scanned.name, solved.iterations
            );
            assert!(apart <= 5e-3, "{}, {name} {device}: the images are {apart:.1e} apart", scanned.name);
            let problem = with(Problem::new(&scanned.a, &scanned.y.to(&device).unwrap()).unwrap());
            let exact = problem.solve(ConvexOptions::default().tol(1e-6).iterations(4000)).unwrap();
            let apart = from_image(&vector(&exact.x));
            println!("with a tolerance of 1e-6: {} iterations, image {apart:.1e}", exact.iterations);
            assert!(apart <= 1e-3, "{}, {name} {device}: the images are {apart:.1e} apart", scanned.name);
            assert_eq!((solved.method, solved.stop), (method, Stop::Converged), "{} {name}", scanned.name);
            // What is promised, and what rounding leaves of a long run.
            assert!((-1e-5..=1e-4).contains(&over), "{} {name} {device}: {found} of {least}", scanned.name);
            assert!((solved.objective / found - 1.0).abs() < 1e-4, "{} of {found}", solved.objective);
            if method == Method::Admm {
                assert!(solved.iterations <= most, "{} {name}: {} iterations", scanned.name, solved.iterations);
            }
        }
    }
}

#[test]
fn cartesian_scans_come_to_the_least_objective() {
    for (acceleration, weight) in [(4, 0.002), (8, 0.01)] {
        compare(&Scanned::cartesian(acceleration), weight, 150);
    }
}

#[test]
fn radial_scans_come_to_the_least_objective() {
    for (acceleration, weight) in [(4, 0.002), (8, 0.01)] {
        compare(&Scanned::radial(acceleration), weight, 150);
    }
}

/// Total variation of few views, as of tomography, comes to what a long run in f64 comes to, and so does its image.
#[test]
fn views_come_to_the_least_objective() {
    for (count, weight) in [(10, 0.003), (6, 0.01)] {
        compare(&views(count), weight, 150);
    }
}

/// The image and the field of total generalised variation are solved for by blocks of frequencies: no more iterations than so many, to
/// what many more come to.
#[test]
fn generalised_variation_takes_few_iterations() {
    for (scanned, relative, most) in [
        (Scanned::cartesian(4), 0.002, 90),
        (Scanned::cartesian(8), 0.01, 120),
        (Scanned::radial(4), 0.002, 120),
        (views(10), 0.003, 120),
    ] {
        let on = |device: &Device| {
            let problem = Problem::new(&scanned.a, &scanned.y.to(device).unwrap()).unwrap();
            problem.clone().tgv(relative * problem.scale().unwrap(), "Ny Nx").unwrap()
        };
        let long = on(&Device::host()).solve(ConvexOptions::default().tol(0.0).iterations(600)).unwrap();
        for device in devices() {
            let solved = on(&device).solve(ConvexOptions::default()).unwrap();
            let over = solved.objective / long.objective - 1.0;
            println!(
                "{}, tgv {relative}, {device}: {} iterations, over by {over:.1e}",
                scanned.name, solved.iterations
            );
            assert!((-2e-5..=1.2e-4).contains(&over), "{} {device}: {over:e}", scanned.name);
            assert!(solved.stop == Stop::Converged && solved.iterations <= most, "{} {device}", scanned.name);
        }
    }
}

/// From some weight on total variation leaves an even image, which is found without a thousand iterations.
#[test]
fn a_weight_that_is_far_too_large_leaves_an_even_image() {
    let scanned = Scanned::cartesian(4);
    for device in devices() {
        let problem = Problem::new(&scanned.a, &scanned.y.to(&device).unwrap()).unwrap();
        let scale = problem.scale().unwrap();
        let mut objectives = Vec::new();
        for times in [0.1, 30.0, 1000.0] {
            let solved = problem.clone().tv(times * scale, "Ny Nx").unwrap().solve(ConvexOptions::default()).unwrap();
            println!("{times} {device}: {} iterations, {}", solved.iterations, solved.objective);
            assert_eq!(solved.stop, Stop::Converged, "{times} {device}");
            assert!(solved.iterations <= 200, "{times} {device}: {}", solved.iterations);
            objectives.push(solved.objective);
            if times < 1.0 {
                continue;
            }
            assert_eq!(solved.iterations, 0, "{times} {device}");
            let x = solved.x.to(&linops::Device::host()).unwrap().to_vec().unwrap();
            assert!(x.iter().all(|v| *v == x[0]) && x[0].norm() > 0.0, "{times} {device}: {x:?}");
            // No iteration finds less.
            let long = ConvexOptions::default().tol(0.0).iterations(300);
            let long = problem.clone().tv(times * scale, "Ny Nx").unwrap().solve(long).unwrap();
            assert!(long.objective >= solved.objective * (1.0 - 1e-5), "{} {}", long.objective, solved.objective);
        }
        assert!(objectives[0] < objectives[1] && objectives[1] == objectives[2], "{objectives:?}");
    }
}

/// Maps that are 0 around the object, as those of calibrations are: all methods hold x at 0 there, and have one objective.
#[test]
fn wavelets_over_maps_with_an_empty_background_are_the_same_by_all_methods() {
    let options = ScanOptions::default().ny(32).nx(32).coils(4).acceleration(2).centre_lines(8);
    let found = scan(&options).unwrap();
    let mut maps = found.maps.clone();
    for ((_, y, x), v) in maps.indexed_iter_mut() {
        if (y as f32 - 15.5).powi(2) / 14.0f32.powi(2) + (x as f32 - 15.5).powi(2) / 12.0f32.powi(2) > 1.0 {
            *v = Complex32::default();
        }
    }
    let model = Sense::new(maps.view(), found.mask.view()).unwrap();
    let kspace = found.kspace.view();
    let asked = |kinds: &[Kind]| {
        let terms = kinds.iter().map(|k| Regulariser::new(*k, Some(Weight::Relative(0.005)))).collect();
        Regularisation::default().terms(terms)
    };
    for device in devices() {
        let solve = |kinds: &[Kind], method| {
            let options = ConvexOptions::default().method(method).tol(1e-5).iterations(3000);
            model.regularised(kspace, &asked(kinds), None, options, &device).unwrap()
        };
        let held = solve(&[Kind::L1Wavelet], None);
        assert_eq!((held.solved.method, held.free), (Method::Admm, 0));
        for method in [Method::Fista, Method::Ista, Method::Pdhg, Method::Irls] {
            let solved = solve(&[Kind::L1Wavelet], Some(method));
            let off = solved.solved.objective / held.solved.objective - 1.0;
            println!("{method} {device}: {off:.1e}, {} iterations", solved.solved.iterations);
            assert!(off.abs() < 1e-3 && solved.free == 0, "{method}: {off:.1e} above, {} free", solved.free);
        }
        // It leaves free what no coil sees, and says so.
        let pogm = solve(&[Kind::L1Wavelet], Some(Method::Pogm));
        assert!(pogm.free > 300 && pogm.solved.objective < held.solved.objective * (1.0 + 1e-3));
        assert!(solve(&[Kind::L1Wavelet, Kind::Tgv], None).free > 300);
        assert_eq!(solve(&[Kind::L1Wavelet, Kind::Tv], None).free, 0);
    }
}
