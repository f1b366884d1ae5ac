//! Projections and filtered back-projection against what is known in closed form.

mod common;

use common::data::{complex, distance, real, wide};
use common::{apply_on, devices};
use linops::linop::{self, FbpOptions, Geometry, RampWindow};
use linops::solve::{SolveOptions, cg};
use linops::{Device, Linop, Tensor};
use ndarray::{Array2, Array3};
use std::f64::consts::PI;

/// A disk of value 1: its centre from the middle of the image, x to the right and y down, and its radius.
#[derive(Clone, Copy)]
struct Disk(f64, f64, f64);

impl Disk {
    /// The length of a line within it, from the line's distance to the middle and its normal.
    fn chord(self, distance: f64, normal: (f64, f64)) -> f64 {
        let off = distance - (self.0 * normal.0 + self.1 * normal.1);
        2.0 * (self.2 * self.2 - off * off).max(0.0).sqrt()
    }

    /// Its picture: the part of each pixel that it covers.
    fn picture(self, ny: usize, nx: usize, pixel: f64) -> Array2<f32> {
        const PARTS: usize = 9;
        Array2::from_shape_fn((ny, nx), |(j, i)| {
            let at = |k: usize, n: usize, part: usize| {
                (k as f64 - (n as f64 - 1.0) / 2.0 + (part as f64 + 0.5) / PARTS as f64 - 0.5) * pixel
            };
            let inside = |k: usize| {
                let (x, y) = (at(i, nx, k % PARTS) - self.0, at(j, ny, k / PARTS) - self.1);
                x * x + y * y <= self.2 * self.2
            };
            (0..PARTS * PARTS).filter(|&k| inside(k)).count() as f32 / (PARTS * PARTS) as f32
        })
    }
}

/// The chord of each ray of a plane.
fn chords(disk: Disk, g: &Geometry) -> Array2<f64> {
    let center = g.center.unwrap_or((g.detectors as f64 - 1.0) / 2.0);
    Array2::from_shape_fn((g.angles.len(), g.detectors), |(view, c)| {
        let (sin, cos) = g.angles[view].sin_cos();
        let u = (c as f64 - center) * g.detector_size;
        match g.beam {
            linop::Beam::Fan { source, detector } => {
                // Through the source, at an angle to the ray through the axis.
                let away = source + detector;
                let long = (away * away + u * u).sqrt();
                let normal = ((away * cos + u * sin) / long, (u * cos - away * sin) / long);
                disk.chord(source * u / long, normal)
            }
            _ => disk.chord(u, (cos, -sin)),
        }
    })
}

fn turn(count: usize, whole: f64) -> Vec<f64> {
    (0..count).map(|k| k as f64 * whole / count as f64).collect()
}

fn apply(a: &Linop, x: &Tensor) -> Array2<f32> {
    apply_on(&Device::host(), a, x).unwrap().mapv(|z| z.re).into_dimensionality().unwrap()
}

fn image(values: Array2<f32>) -> Tensor {
    Tensor::from_array(values, "Y X").unwrap()
}

/// The mean and the largest error of values over those of a picture's disk, well within it.
fn inside(got: &Array2<f32>, disk: Disk, pixel: f64, edge: f64) -> (f64, f64) {
    let (ny, nx) = got.dim();
    let within = |(j, i): (usize, usize)| {
        let (x, y) = (
            (i as f64 - (nx as f64 - 1.0) / 2.0) * pixel - disk.0,
            (j as f64 - (ny as f64 - 1.0) / 2.0) * pixel - disk.1,
        );
        x.hypot(y) < disk.2 - edge * pixel
    };
    let values: Vec<f64> = got.indexed_iter().filter(|(at, _)| within(*at)).map(|(_, v)| f64::from(*v)).collect();
    assert!(values.len() > 20);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (mean, values.iter().map(|v| (v - 1.0).abs()).fold(0.0, f64::max))
}

#[test]
fn projections_of_a_disk_are_its_chords() {
    let disk = Disk(11.3, -17.6, 22.4);
    let angles = turn(50, 2.5 * PI);
    let parallel = Geometry::parallel(&angles, 131);
    let cases = [
        ("parallel", parallel.clone(), 1.0, (101, 96)),
        ("small detector pixels", parallel.clone().detector_size(0.37).center(Some(70.3)), 1.0, (96, 101)),
        ("small image pixels", parallel.clone().pixel_size(0.5), 0.5, (180, 171)),
        ("fan", Geometry::fan(&angles, 151, 140.0, 60.0).center(Some(71.8)), 1.0, (101, 96)),
        ("wide fan", Geometry::fan(&angles, 190, 90.0, 10.0), 1.0, (96, 97)),
    ];
    for (name, g, pixel, (ny, nx)) in cases {
        let g = g.pixel_size(pixel);
        let a = linop::projection(format!("Y={ny} X={nx}"), "Y X", &g, "A D").unwrap();
        let (got, want) = (apply(&a, &image(disk.picture(ny, nx, pixel))), chords(disk, &g));
        let scale = 2.0 * disk.2;
        let errors: Vec<f64> = got.iter().zip(&want).map(|(g, w)| (f64::from(*g) - w).abs() / scale).collect();
        let rms = (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt();
        let largest = errors.iter().copied().fold(0.0, f64::max);
        let sums = (got.iter().map(|v| f64::from(*v)).sum::<f64>(), want.iter().sum::<f64>());
        println!("{name}: rms {rms:.2e}, largest {largest:.2e}, sum {:.2e}", sums.0 / sums.1 - 1.0);
        // Chords are steep at the edge, where a pixel is a large part of one.
        assert!(rms < 8e-3 && largest < 0.12, "{name}: rms {rms:.2e}, largest {largest:.2e}");
        assert!((sums.0 / sums.1 - 1.0).abs() < 2e-3, "{name}: {sums:?}");
        let deep = |w: &f64| *w > 0.8 * scale;
        let worst = got.iter().zip(&want).filter(|(_, w)| deep(w)).map(|(g, w)| (f64::from(*g) / w - 1.0).abs());
        let worst = worst.fold(0.0, f64::max);
        assert!(worst < 1e-2, "{name}: {worst:.2e}");
    }
}

#[test]
fn the_axis_is_in_the_middle() {
    for (n, detectors) in [(8, 8), (9, 9), (8, 11), (9, 12)] {
        let g = Geometry::parallel(&[0.0, 0.5 * PI, PI, 1.5 * PI], detectors);
        let a = linop::projection(format!("Y={n} X={n}"), "Y X", &g, "A D").unwrap();
        // A point on the right, a row below the middle or on it.
        let (j, i) = (n / 2, n - 2);
        let mut x = Array2::zeros((n, n));
        x[[j, i]] = 1.0;
        let y = apply(&a, &image(x));
        let center = |view: usize| {
            let row = y.row(view);
            let sum: f32 = row.sum();
            assert!((sum - 1.0).abs() < 1e-5);
            row.iter().enumerate().map(|(c, v)| c as f32 * v).sum::<f32>() - (detectors as f32 - 1.0) / 2.0
        };
        let (right, below) = (i as f32 - (n as f32 - 1.0) / 2.0, j as f32 - (n as f32 - 1.0) / 2.0);
        for (view, want) in [right, -below, -right, below].into_iter().enumerate() {
            assert!((center(view) - want).abs() < 1e-4, "{n}, {detectors}, view {view}: {} {want}", center(view));
        }
    }
}

#[test]
fn the_center_moves_by_fractions() {
    let x = image(Disk(3.0, -2.0, 6.0).picture(24, 24, 1.0));
    let at = |center| {
        let g = Geometry::parallel(&turn(7, PI), 41).center(Some(center));
        let y = apply(&linop::projection("Y=24 X=24", "Y X", &g, "A D").unwrap(), &x);
        y.indexed_iter().map(|((_, c), v)| c as f32 * v).sum::<f32>() / y.sum()
    };
    assert!((at(20.25) - at(20.0) - 0.25).abs() < 1e-3);
}

#[test]
fn sizes_scale_lengths() {
    let x = real("Y=15 X=14", 3);
    let of = |g: Geometry| apply(&linop::projection("Y=15 X=14", "Y X", &g, "A D").unwrap(), &x);
    let angles = turn(9, 2.0 * PI);
    let one = of(Geometry::fan(&angles, 21, 40.0, 20.0));
    let three = of(Geometry::fan(&angles, 21, 120.0, 60.0).detector_size(3.0).pixel_size(3.0));
    assert!(one.iter().zip(&three).all(|(a, b)| (3.0 * a - b).abs() < 1e-4));
}

#[test]
fn a_far_source_is_parallel() {
    let x = image(Disk(4.0, 7.0, 12.0).picture(41, 40, 1.0));
    let angles = turn(13, 2.0 * PI);
    let of = |g: &Geometry| apply(&linop::projection("Y=41 X=40", "Y X", g, "A D").unwrap(), &x);
    let (fan, parallel) = (of(&Geometry::fan(&angles, 61, 1e6, 0.0)), of(&Geometry::parallel(&angles, 61)));
    let worst = fan.iter().zip(&parallel).map(|(f, p)| (f - p).abs()).fold(0.0, f32::max);
    assert!(worst < 2e-2, "{worst}");
    // The middle row of a cone is the fan.
    let volume =
        Tensor::from_array(x.to_real_array().unwrap().into_shape_with_order((1, 41, 40)).unwrap(), "Z Y X").unwrap();
    let cone = Geometry::cone(&angles, 3, 61, 90.0, 20.0);
    let y = linop::projection("Z=1 Y=41 X=40", "Z Y X", &cone, "A V D").unwrap().apply(&volume).unwrap();
    let want = of(&Geometry::fan(&angles, 61, 90.0, 20.0));
    let y = y.to_real_array().unwrap();
    assert!(want.indexed_iter().all(|((a, d), w)| (y[[a, 1, d]] - w).abs() < 2e-3));
}

#[test]
fn a_ball_casts_its_shadow_onto_a_panel() {
    let (center, radius) = ([4.0, -6.0, 3.0], 9.0);
    let [cx, cy, cz]: [f64; 3] = center;
    let pixels = [26, 37, 36];
    let ball = Array3::from_shape_fn(pixels, |(z, y, x)| {
        const PARTS: usize = 4;
        let at = |k: usize, n: usize, part: usize| {
            k as f64 - (n as f64 - 1.0) / 2.0 + (part as f64 + 0.5) / PARTS as f64 - 0.5
        };
        let inside = |k: usize| {
            let (x, y) = (at(x, pixels[2], k % PARTS) - cx, at(y, pixels[1], k / PARTS % PARTS) - cy);
            let z = at(z, pixels[0], k / PARTS / PARTS) - cz;
            x * x + y * y + z * z <= radius * radius
        };
        (0..PARTS.pow(3)).filter(|&k| inside(k)).count() as f32 / PARTS.pow(3) as f32
    });
    let (r, behind) = (80.0, 30.0);
    let g = Geometry::cone(&turn(11, 2.0 * PI), 41, 52, r, behind).row_center(Some(18.4)).detector_size(1.2);
    let a = linop::projection("Z=26 Y=37 X=36", "Z Y X", &g, "A V U").unwrap();
    let got = a.apply(&Tensor::from_array(ball, "Z Y X").unwrap()).unwrap().to_real_array().unwrap();
    let (mut squares, mut worst, mut sums) = (0.0, 0.0f64, (0.0, 0.0));
    for ((view, row, c), got) in got.view().into_dimensionality::<ndarray::Ix3>().unwrap().indexed_iter() {
        let (sin, cos) = g.angles[view].sin_cos();
        let (u, v) = ((c as f64 - 25.5) * 1.2, (row as f64 - 18.4) * 1.2);
        let source = [r * sin, r * cos, 0.0];
        let to = [-behind * sin + u * cos - source[0], -behind * cos - u * sin - source[1], v];
        let long = to.iter().map(|d| d * d).sum::<f64>().sqrt();
        let from = [cx - source[0], cy - source[1], cz];
        let along = from.iter().zip(&to).map(|(a, b)| a * b / long).sum::<f64>();
        let off = from.iter().map(|d| d * d).sum::<f64>() - along * along;
        let want = 2.0 * (radius * radius - off).max(0.0).sqrt();
        squares += (f64::from(*got) - want).powi(2);
        sums = (sums.0 + f64::from(*got), sums.1 + want);
        if want > 1.2 * radius {
            worst = worst.max((f64::from(*got) / want - 1.0).abs());
        }
    }
    let rms = (squares / got.len() as f64).sqrt() / (2.0 * radius);
    assert!((sums.0 / sums.1 - 1.0).abs() < 5e-3, "{sums:?}");
    assert!(rms < 2e-2 && worst < 5e-2, "{rms:.2e}, {worst:.2e}");
}

#[test]
fn a_disk_comes_back_by_filtered_back_projection() {
    let disk = Disk(13.0, -9.5, 24.0);
    let parallel = |angles: Vec<f64>| Geometry::parallel(&angles, 185);
    let uneven: Vec<f64> =
        turn(240, PI).into_iter().enumerate().map(|(k, a)| if k % 3 == 0 { a } else { a - 0.004 }).collect();
    let both_ends = (0..=180).map(|k| f64::from(k).to_radians()).collect();
    let cases = [
        ("half a turn", parallel(turn(180, PI)), 1.0),
        ("half a turn, both ends", parallel(both_ends), 1.0),
        ("a turn", parallel(turn(360, 2.0 * PI)), 1.0),
        ("uneven", parallel(uneven), 1.0),
        ("off the middle", parallel(turn(180, PI)).center(Some(90.25)), 1.0),
        ("small pixels", Geometry::parallel(&turn(200, PI), 260).detector_size(0.7), 0.8),
        ("fan", Geometry::fan(&turn(360, 2.0 * PI), 290, 200.0, 100.0), 1.0),
        ("wide fan", Geometry::fan(&turn(400, 2.0 * PI), 330, 110.0, 0.0).center(Some(163.9)), 1.0),
    ];
    for (name, g, pixel) in cases {
        let g = g.pixel_size(pixel);
        let data = chords(disk, &g).mapv(|v| v as f32);
        let data = Tensor::from_array(data, "A D").unwrap();
        for window in
            [RampWindow::RamLak, RampWindow::SheppLogan, RampWindow::Cosine, RampWindow::Hamming, RampWindow::Hann]
        {
            let options = FbpOptions::default().window(window);
            let b = linop::fbp(data.shape(), "A D", "Y=128 X=127", &g, options).unwrap();
            let (mean, worst) = inside(&apply(&b, &data), disk, pixel, 4.0);
            println!("{name}, {window:?}: mean {mean:.5}, worst {worst:.2e}");
            assert!((mean - 1.0).abs() < 3e-3, "{name}, {window:?}: {mean}");
            assert!(worst < 2e-2, "{name}, {window:?}: {worst:.2e}");
        }
        // It is where it was, and nothing else is.
        let b = linop::fbp(data.shape(), "A D", "Y=128 X=127", &g, FbpOptions::default()).unwrap();
        let (got, want) = (apply(&b, &data), disk.picture(128, 127, pixel));
        let (error, norm) = got.iter().zip(&want).fold((0.0, 0.0), |(e, n), (g, w)| (e + (g - w).powi(2), n + w * w));
        println!("{name}: {:.3}", (error / norm).sqrt());
        assert!((error / norm).sqrt() < 0.1, "{name}: {:.3}", (error / norm).sqrt());
    }
}

#[test]
fn a_disk_in_a_cone_comes_back() {
    // A cylinder: around the plane of the source its views are known.
    let disk = Disk(5.0, -4.0, 12.0);
    let g = Geometry::cone(&turn(180, 2.0 * PI), 21, 101, 150.0, 50.0);
    let (ny, nx, nz) = (49, 50, 9);
    let picture = disk.picture(ny, nx, 1.0);
    let tall = Array3::from_shape_fn((25, ny, nx), |(_, y, x)| picture[[y, x]]);
    let a = linop::projection(format!("Z=25 Y={ny} X={nx}"), "Z Y X", &g, "A V U").unwrap();
    let views = a.apply(&Tensor::from_array(tall, "Z Y X").unwrap()).unwrap();
    let b = linop::fbp(views.shape(), "A V U", format!("Z={nz} Y={ny} X={nx}"), &g, FbpOptions::default()).unwrap();
    let got = b.apply(&views).unwrap().to_array().unwrap();
    for z in 0..nz {
        let slice = got.index_axis(ndarray::Axis(0), z).mapv(|v| v.re).into_dimensionality().unwrap();
        let (mean, worst) = inside(&slice, disk, 1.0, 4.0);
        assert!((mean - 1.0).abs() < 5e-3 && worst < 3e-2, "slice {z}: {mean} {worst:.2e}");
    }
}

#[test]
fn a_solver_finds_the_disk() {
    let disk = Disk(6.0, 3.0, 14.0);
    let g = Geometry::parallel(&turn(90, PI), 71);
    let data = Tensor::from_array(chords(disk, &g).mapv(|v| v as f32), "A D").unwrap();
    let a = linop::projection("Y=48 X=48", "Y X", &g, "A D").unwrap();
    let x = cg(&a.n(), &a.h().apply(&data).unwrap(), SolveOptions::default().iterations(20)).unwrap().x;
    let (mean, _) = inside(&x.to_real_array().unwrap().into_dimensionality().unwrap(), disk, 1.0, 3.0);
    assert!((mean - 1.0).abs() < 1e-2, "{mean}");
}

/// Sizes at which positions in f32 would have lost digits.
#[test]
fn forward_and_adjoint_fit_on_every_device() {
    let angles = turn(23, 2.0 * PI);
    let fan = Geometry::fan(&angles, 401, 500.0, 300.0).center(Some(190.7));
    let cone = Geometry::cone(&angles[..5], 39, 60, 90.0, 70.0);
    let cases = [
        ("parallel", linop::projection("C=5 Y=211 X=190", "Y X", &Geometry::parallel(&angles, 301), "C A D").unwrap()),
        ("fan", linop::projection("Y=260 X=300", "Y X", &fan, "A D").unwrap()),
        ("cone", linop::projection("Z=31 Y=33 X=40", "Z Y X", &cone, "A V U").unwrap()),
        ("samples of a fan", linop::fbp("A=23 D=401", "A D", "Y=200 X=190", &fan, FbpOptions::default()).unwrap()),
        ("samples of a cone", {
            let cone = Geometry::cone(&turn(5, 2.0 * PI), 39, 60, 90.0, 70.0);
            linop::fbp("A=5 V=39 U=60", "A V U", "Z=20 Y=33 X=40", &cone, FbpOptions::default()).unwrap()
        }),
    ];
    for (name, a) in cases {
        let (x, u) = (complex(a.input().unwrap(), 1), complex(a.output().unwrap(), 2));
        for (what, op, x) in [("forward", a.clone(), &x), ("adjoint", a.h(), &u)] {
            let want = linops::apply_f64(&op, &wide(x)).unwrap();
            for device in devices() {
                let error = distance(&apply_on(&device, &op, x).unwrap(), &want);
                println!("{name}, {what} on {}: {error:.2e}", device.name());
                assert!(error < 2e-6, "{name}, {what} on {}: {error:.2e}", device.name());
            }
        }
    }
}

#[test]
fn what_is_no_scan_is_refused() {
    let angles = [0.0, 1.0];
    let fails = |g: &Geometry, what: &str| {
        let e = linop::projection("Y=9 X=8", "Y X", g, "A D").unwrap_err().to_string();
        assert!(e.contains(what), "{e}");
    };
    let g = Geometry::parallel(&angles, 5);
    fails(&Geometry::parallel(&[], 5), "0 angles");
    fails(&Geometry::parallel(&angles, 0), "0 detector pixels");
    fails(&Geometry::parallel(&[f64::NAN], 5), "an angle is NaN");
    fails(&g.clone().pixel_size(0.0), "pixel_size is 0");
    fails(&g.clone().detector_size(-1.0), "detector_size is -1");
    fails(&g.clone().center(Some(f64::INFINITY)), "center is inf");
    fails(&g.clone().center(Some(1e5)), "center is 100000");
    fails(&g.clone().detector_size(1e-4), "falls onto detector index");
    fails(&Geometry::fan(&angles, 5, 6.0, 3.0), "within the image");
    fails(&Geometry::fan(&angles, 5, -6.0, 3.0), "expected a positive distance");
    fails(&Geometry::fan(&angles, 5, 20.0, -3.0), "expected a distance of 0 or more");
    fails(&Geometry::fan(&angles, 5, 20.0, 0.0).detector_size(9.0), "less than a quarter");
    fails(&Geometry::parallel(&angles, 20_000), "expected extents of 1 to 16000");
    fails(&Geometry::cone(&angles, 5, 5, 50.0, 0.0), "expected 3");
    let volume = |g: &Geometry| linop::projection("Z=4 Y=9 X=8", "Z Y X", g, "A V U").unwrap_err().to_string();
    assert!(volume(&Geometry::cone(&angles, 500, 5, 50.0, 0.0)).contains("climb"));
    assert!(linop::projection("Y=9 X=8", "Y Y", &g, "A D").unwrap_err().to_string().contains("twice"));
    assert!(linop::projection("Y=9 X=8", "Y X", &g, "A").unwrap_err().to_string().contains("names 1 dims"));
    let fbp = |input: &str| linop::fbp(input, "A D", "Y=9 X=8", &g, FbpOptions::default()).unwrap_err().to_string();
    assert!(fbp("A=2 D=6").contains("the geometry [2, 5]"));
}
