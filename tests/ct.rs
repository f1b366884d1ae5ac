//! Tomography against disks and ellipses whose views are known in closed form: what users of other programs stumble over.
#![cfg(feature = "app")]

mod common;

use common::devices;
use linops::app::ct::{Angles, Ct, CtMethod, CtOptions, CtProgress, absorption, find_center};
use linops::app::noise::Generator;
use linops::app::regularise::{Kind, Regularisation, Regulariser, Weight};
use linops::app::{shepp_logan_image, shepp_logan_projections};
use linops::convex::ConvexOptions;
use linops::linop::{Beam, FbpOptions, Geometry};
use linops::solve::Stop;
use linops::{Device, Result};
use ndarray::{Array2, Array3, ArrayView2, Axis, s};
use std::cell::RefCell;
use std::f64::consts::PI;
use std::sync::atomic::{AtomicBool, Ordering};

/// Value, centre from the axis (x to the right, y down), radius.
type Disk = (f64, f64, f64, f64);

/// The integrals of disks along the rays of a scan in a plane, (1, angle, detector).
fn views(disks: &[Disk], g: &Geometry) -> Array3<f32> {
    let center = g.center.unwrap_or((g.detectors as f64 - 1.0) / 2.0);
    Array3::from_shape_fn((1, g.angles.len(), g.detectors), |(_, view, d)| {
        let (sin, cos) = g.angles[view].sin_cos();
        let u = (d as f64 - center) * g.detector_size;
        let (distance, normal) = match g.beam {
            Beam::Fan { source, detector } => {
                let (away, long) = (source + detector, (source + detector).hypot(u));
                (source * u / long, ((away * cos + u * sin) / long, (u * cos - away * sin) / long))
            }
            _ => (u, (cos, -sin)),
        };
        let chord = |&(value, x, y, radius): &Disk| {
            let off = distance - x * normal.0 - y * normal.1;
            value * 2.0 * (radius * radius - off * off).max(0.0).sqrt()
        };
        disks.iter().map(chord).sum::<f64>() as f32
    })
}

fn turn(count: usize, whole: f64) -> Vec<f64> {
    (0..count).map(|k| k as f64 * whole / count as f64).collect()
}

/// Noise of this part of the largest value.
fn noisy(mut views: Array3<f32>, part: f64, seed: u64) -> Array3<f32> {
    let most = views.iter().fold(0.0f32, |m, v| m.max(*v));
    let mut random = Generator::new(seed);
    views.mapv_inplace(|v| v + (part * f64::from(most) * 2f64.sqrt() * random.complex_normal().re) as f32);
    views
}

/// Mean and largest deviation within a disk, away from its edge, of its value; positions in pixels of this size.
fn inside(image: ArrayView2<f32>, (value, x, y, radius): Disk, pixel: f64, edge: f64) -> (f64, f64) {
    let (ny, nx) = image.dim();
    let off = |k: usize, n: usize| (k as f64 - (n as f64 - 1.0) / 2.0) * pixel;
    let within = |(j, i): (usize, usize)| (off(i, nx) - x).hypot(off(j, ny) - y) < radius - edge * pixel;
    let values: Vec<f64> =
        image.indexed_iter().filter(|(at, _)| within(*at)).map(|(_, v)| f64::from(*v) / value).collect();
    assert!(values.len() > 20);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (mean, values.iter().map(|v| (v - 1.0).abs()).fold(0.0, f64::max))
}

/// The centre of mass around a disk, from the middle of the image.
fn centroid(image: ArrayView2<f32>, (_, x, y, radius): Disk) -> (f64, f64) {
    let (ny, nx) = image.dim();
    let off = |k: usize, n: usize| k as f64 - (n as f64 - 1.0) / 2.0;
    let mut sums = (0.0, 0.0, 0.0);
    for ((j, i), v) in image.indexed_iter() {
        let (px, py) = (off(i, nx), off(j, ny));
        if (px - x).hypot(py - y) < radius + 4.0 {
            let v = f64::from(*v);
            sums = (sums.0 + v, sums.1 + v * px, sums.2 + v * py);
        }
    }
    (sums.1 / sums.0, sums.2 / sums.0)
}

fn fbp(views: Array3<f32>, g: &Geometry, size: usize) -> Array2<f32> {
    let slices = views.len_of(Axis(0));
    let ct = Ct::new(views, g, [slices, size, size]).unwrap();
    ct.fbp(FbpOptions::default(), &Device::host()).unwrap().image.index_axis_move(Axis(0), 0)
}

fn solve(method: CtMethod, views: Array3<f32>, g: &Geometry, size: usize, iterations: usize) -> Array2<f32> {
    let ct = Ct::new(views, g, [1, size, size]).unwrap();
    let options = CtOptions::default().iterations(iterations).noise(Some(0.0));
    ct.solve(method, options, &Device::host()).unwrap().image.index_axis_move(Axis(0), 0)
}

fn distance(a: &Array2<f32>, b: &Array2<f32>) -> f64 {
    let norm = |a: &Array2<f32>| a.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    norm(&(a - b)) / norm(b)
}

#[test]
fn the_same_view_at_all_angles_is_a_round_disk_in_the_middle() {
    for n in [64, 63] {
        let g = Geometry::parallel(&turn(90, PI), n);
        let disk = (1.0, 0.0, 0.0, 20.3);
        for image in [fbp(views(&[disk], &g), &g, n), solve(CtMethod::Cg, views(&[disk], &g), &g, n, 15)] {
            let (x, y) = centroid(image.view(), disk);
            assert!(x.abs() < 0.01 && y.abs() < 0.01, "{n}: {x} {y}");
            // The same from all four sides.
            let upside = image.slice(s![..;-1, ..]).to_owned();
            let turned = image.t().to_owned();
            assert!(distance(&upside, &image) < 1e-2 && distance(&turned, &image) < 1e-2, "{n}");
        }
    }
}

#[test]
fn a_quarter_of_a_pixel_of_the_axis_shows() {
    let disks = [(1.0, 6.0, -4.0, 9.0), (0.7, -11.0, 8.0, 5.0)];
    let right = Geometry::parallel(&turn(90, PI), 72).center(Some(33.25));
    let data = views(&disks, &right);
    let error = |center: f64| {
        let g = right.clone().center(Some(center));
        let want = fbp(views(&disks, &g), &g, 56);
        distance(&fbp(data.clone(), &g, 56), &want)
    };
    let (there, beside) = (error(33.25), error(33.5));
    assert!(there < 1e-6 && beside > 0.02 && error(33.0) > 0.02 && error(32.25) > 1.8 * beside, "{there} {beside}");
}

/// The head on pixels that have a width, as a detector's have.
fn head(g: &Geometry) -> Array3<f32> {
    head_of(g, 84.0)
}

fn head_of(g: &Geometry, size: f64) -> Array3<f32> {
    const PARTS: usize = 4;
    let center = g.center.unwrap();
    let part = |k: usize| g.clone().center(Some(center + (k as f64 + 0.5) / PARTS as f64 - 0.5));
    let parts = (0..PARTS).map(|k| shepp_logan_projections(&part(k), size).unwrap());
    let sum = parts.reduce(|a, b| a + b).unwrap() / PARTS as f64;
    sum.mapv(|v| v as f32).insert_axis(Axis(0))
}

#[test]
fn the_axis_is_found_within_a_tenth_of_a_pixel() {
    let n = 128;
    let disks = [(1.0, 17.0, -9.0, 14.0), (0.6, -20.0, 12.0, 9.0), (1.5, -3.0, -25.0, 4.0)];
    let both_ends: Vec<f64> = (0..=120).map(|k| f64::from(k) * PI / 120.0).collect();
    for (name, angles) in [
        ("half a turn", turn(120, PI)),
        ("half a turn, both ends", both_ends),
        ("a turn", turn(180, 2.0 * PI)),
        ("half a turn from below 0", turn(100, PI).into_iter().map(|a| a - 1.0).collect()),
    ] {
        for (off, noise) in [(0.0, 0.0), (12.8, 0.03), (-12.3, 0.03), (4.37, 0.05), (-0.5, 0.02)] {
            let g = Geometry::parallel(&angles, n).center(Some((n as f64 - 1.0) / 2.0 + off));
            for (what, data) in [("disks", views(&disks, &g)), ("head", head(&g))] {
                let found = find_center(noisy(data, noise, 7).view(), &Geometry::parallel(&angles, n)).unwrap();
                let error = found.index - g.center.unwrap();
                println!(
                    "{name}, {what}, off {off}, noise {noise}: {error:+.3} by {} {:?}",
                    found.method, found.deviation
                );
                assert!(error.abs() < 0.1, "{name}, {what}, off {off}, noise {noise}: {error:+.3} by {}", found.method);
            }
        }
    }
}

#[test]
fn the_axis_of_a_fan_and_of_truncated_views_is_found() {
    let disks = [(1.0, 14.0, -7.0, 13.0), (0.6, -17.0, 10.0, 8.0)];
    let fan = Geometry::fan(&turn(180, 2.0 * PI), 128, 160.0, 80.0).center(Some(69.6));
    let found = find_center(noisy(views(&disks, &fan), 0.03, 3).view(), &fan.clone().center(None)).unwrap();
    assert!((found.index - 69.6).abs() < 0.1, "{found:?}");
    // Wider than the detector.
    let wide = [(1.0, 5.0, -7.0, 90.0), (0.8, -17.0, 10.0, 8.0), (-0.5, 21.0, 20.0, 6.0)];
    for angles in [turn(180, PI), turn(240, 2.0 * PI)] {
        let g = Geometry::parallel(&angles, 100).center(Some(53.3));
        let found = find_center(noisy(views(&wide, &g), 0.002, 5).view(), &g.clone().center(None)).unwrap();
        assert!((found.index - 53.3).abs() < 0.15, "{found:?}");
    }
    let few = Geometry::fan(&turn(180, PI), 128, 160.0, 80.0);
    assert!(find_center(views(&disks, &few).view(), &few).unwrap_err().to_string().contains("--center"));
    assert!(find_center(Array3::zeros((1, 180, 128)).view(), &few).unwrap_err().to_string().contains("--center"));
}

#[test]
fn a_turn_is_not_twice_as_bright_and_uneven_angles_count_by_their_spacing() {
    let disk = (0.8, 7.0, -5.0, 15.0);
    let uneven: Vec<f64> =
        turn(90, 0.5 * PI).into_iter().chain(turn(30, 0.5 * PI).iter().map(|a| a + 0.5 * PI)).collect();
    for (name, angles, center) in [
        ("half a turn", turn(120, PI), 35.5),
        ("a turn", turn(240, 2.0 * PI), 35.5),
        ("a turn and a half", turn(360, 3.0 * PI), 35.5),
        ("uneven", uneven, 35.5),
        ("a turn, axis off", turn(240, 2.0 * PI), 27.2),
    ] {
        let g = Geometry::parallel(&angles, 72).center(Some(center));
        let (mean, worst) = inside(fbp(views(&[disk], &g), &g, 64).view(), disk, 1.0, 3.0);
        assert!((mean - 1.0).abs() < 5e-3 && worst < 0.03, "{name}: {mean} {worst}");
    }
    // At random, where gaps are of all widths: ten times the mean is a hole nevertheless.
    let mut holes = 0;
    for (count, whole) in [(90, PI), (90, 2.0 * PI), (180, PI), (360, PI)] {
        for seed in [1, 2, 3] {
            let mut random = Generator::new(seed);
            let angles = (0..count).map(|_| random.uniform() * whole).collect::<Vec<_>>();
            let g = Geometry::parallel(&angles, 72);
            let (mean, _) = inside(fbp(views(&[disk], &g), &g, 64).view(), disk, 1.0, 3.0);
            let missing = Angles::of(&g.angles, true).unwrap().missing / PI;
            println!("{count} at random, seed {seed}: {mean}, without {missing}");
            assert!((mean + missing - 1.0).abs() < 1e-2, "{count} at random, seed {seed}: {mean} without {missing}");
            holes += usize::from(missing > 0.0);
        }
    }
    assert!(holes <= 1, "{holes} of 12");
    // Holes between regular views, however many.
    for (views, holes, width) in [(39, 3, 20.0), (55, 5, 15.0), (120, 6, 15.0)] {
        let step = (180.0 - f64::from(holes) * width) / f64::from(views - holes);
        let mut at = 0.0f64;
        let angles: Vec<f64> = (0..views)
            .map(|k| {
                at += if k % (views / holes) == 3 && k / (views / holes) < holes { width } else { step };
                at.to_radians()
            })
            .collect();
        let missing = Angles::of(&angles, true).unwrap().missing.to_degrees();
        assert!(missing > 0.6 * f64::from(holes) * width, "{views} views: {missing} of {holes} x {width}");
    }
    let wedge = Angles::of(&turn(100, 0.75 * PI), true).unwrap();
    assert!((wedge.missing.to_degrees() - 45.0).abs() < 1.0, "{wedge:?}");
}

/// Half of the field of view on one side of the axis: each line once, over a whole turn.
#[test]
fn a_turn_with_the_axis_at_one_side_shows_twice_the_detector() {
    let disk = (1.0, 20.0, -18.0, 17.0);
    let g = Geometry::parallel(&turn(240, 2.0 * PI), 72).center(Some(15.0));
    let size = Ct::fitting_size(&g);
    assert_eq!(size, 113);
    let (mean, worst) = inside(fbp(views(&[disk], &g), &g, size).view(), disk, 1.0, 4.0);
    assert!((mean - 1.0).abs() < 5e-3 && worst < 0.05, "{mean} {worst}");
}

#[test]
fn a_short_scan_of_a_fan_is_as_bright() {
    let disk = (1.0, 14.0, -11.0, 17.0);
    // Half a turn and the fan's opening, just enough and more, from anywhere.
    let g = |count: usize, whole: f64| {
        let angles = turn(count, whole).into_iter().map(|a| a + 0.7).collect::<Vec<_>>();
        Geometry::fan(&angles, 131, 130.0, 60.0).center(Some(64.2))
    };
    let opening = 2.0 * (66.0f64 / 190.0).atan();
    for whole in [PI + 1.06 * opening, 1.6 * PI] {
        let g = g(230, whole);
        let image = fbp(views(&[disk], &g), &g, 80);
        let (mean, worst) = inside(image.view(), disk, 1.0, 4.0);
        assert!((mean - 1.0).abs() < 1e-2 && worst < 0.05, "{whole}: {mean} {worst}");
        let (x, y) = centroid(image.view(), disk);
        assert!((x - 14.0).abs() < 0.1 && (y + 11.0).abs() < 0.1, "{whole}: {x} {y}");
    }
    let short = g(180, PI + 0.5 * opening);
    let ct = Ct::new(views(&[disk], &short), &short, [1, 80, 80]).unwrap();
    let message = ct.fbp(FbpOptions::default(), &Device::host()).unwrap_err().to_string();
    assert!(message.contains("leave out") && message.contains("needs"), "{message}");
}

#[test]
fn a_disk_has_its_value_by_every_method_and_any_detector() {
    let disk = (0.37, 5.0, -8.0, 34.0);
    for detectors in [128, 129, 185, 300] {
        let g = Geometry::parallel(&turn(180, PI), detectors);
        let (mean, worst) = inside(fbp(views(&[disk], &g), &g, 128).view(), disk, 1.0, 4.0);
        assert!((mean - 1.0).abs() < 3e-3 && worst < 1e-2, "{detectors}: {mean} {worst}");
    }
    for detectors in [128, 185] {
        let g = Geometry::parallel(&turn(180, PI), detectors);
        for (method, iterations) in [(CtMethod::Cg, 25), (CtMethod::Sirt, 80)] {
            let (mean, worst) = inside(solve(method, views(&[disk], &g), &g, 128, iterations).view(), disk, 1.0, 6.0);
            println!("{method:?} {detectors}: {mean} {worst}");
            let most = if detectors == 128 { 3e-3 } else { 1e-2 };
            assert!((mean - 1.0).abs() < most && worst < 4e-2, "{method:?} {detectors}: {mean} {worst}");
        }
    }
    // Smaller: it takes longer.
    let small = (0.37, 2.5, -4.0, 22.0);
    for detectors in [80, 115] {
        let g = Geometry::parallel(&turn(120, PI), detectors);
        let ct = Ct::new(views(&[small], &g), &g, [1, 80, 80]).unwrap();
        let tv = Regularisation::default().terms(vec![Regulariser::new(Kind::Tv, Some(Weight::Relative(1e-3)))]);
        let options = ConvexOptions::default().tol(1e-3);
        let found = ct.regularise(&tv, None, options, &Device::host()).unwrap();
        let (mean, worst) = inside(found.image.image.index_axis(Axis(0), 0), small, 1.0, 6.0);
        println!("tv {detectors}: {mean} {worst}");
        assert!((mean - 1.0).abs() < 3e-3 && worst < 1e-2, "tv {detectors}: {mean} {worst}");
    }
    let g = Geometry::parallel(&turn(180, PI), 128);
    // A small image of a larger object.
    let (mean, _) =
        inside(solve(CtMethod::Cg, views(&[disk], &g), &g, 40, 15).view(), (0.37, 5.0, -8.0, 18.0), 1.0, 6.0);
    assert!((mean - 1.0).abs() < 5e-3, "{mean}");
}

#[test]
fn pixel_sizes_and_fans_scale_values() {
    // Lengths in millimetres.
    let disk = (0.021, 3.1, -2.2, 8.0);
    let fine = Geometry::parallel(&turn(180, PI), 100).detector_size(0.25).pixel_size(0.25);
    let coarse = Geometry::parallel(&turn(180, PI), 100).detector_size(0.25).pixel_size(0.4);
    let fan = Geometry::fan(&turn(240, 2.0 * PI), 150, 120.0, 60.0).detector_size(0.3).pixel_size(0.2);
    for (name, g, size, pixel) in [("fine", fine, 100, 0.25), ("coarse", coarse, 62, 0.4), ("fan", fan, 120, 0.2)] {
        let data = views(&[disk], &g);
        for (method, image) in [("fbp", fbp(data.clone(), &g, size)), ("cg", solve(CtMethod::Cg, data, &g, size, 30))] {
            let (mean, worst) = inside(image.view(), disk, pixel, 6.0);
            println!("{name} {method}: {mean} {worst}");
            assert!(
                (mean - 1.0).abs() < 5e-3 && worst < if method == "fbp" { 2e-2 } else { 8e-2 },
                "{name} {method}: {mean} {worst}"
            );
        }
    }
}

#[test]
fn an_object_that_is_wider_than_the_detector_keeps_its_value() {
    let disk = (0.5, 6.0, -4.0, 60.0);
    let g = Geometry::parallel(&turn(180, PI), 80);
    let data = views(&[disk], &g);
    let seen = (0.5, 0.0, 0.0, 36.0);
    let ct = Ct::new(data.clone(), &g, [1, 80, 80]).unwrap();
    assert!(ct.truncated() > 0.9 && ct.canvas() == [1, 160, 160]);
    let (mean, worst) = inside(fbp(data.clone(), &g, 80).view(), seen, 1.0, 1.0);
    assert!((mean - 1.0).abs() < 1e-2 && worst < 0.04, "fbp: {mean} {worst}");
    let (mean, worst) = inside(solve(CtMethod::Cg, data, &g, 80, 20).view(), seen, 1.0, 6.0);
    assert!((mean - 1.0).abs() < 2e-2, "cg: {mean} {worst}");
}

#[test]
fn a_cone_shows_a_ball_where_it_is() {
    let (x, y, z, radius) = (4.0, -5.0, 2.0, 9.0);
    let g = Geometry::cone(&turn(90, 2.0 * PI), 40, 48, 130.0, 40.0).row_center(Some(18.6)).pixel_size(130.0 / 170.0);
    // (row, angle, detector)
    let data = Array3::from_shape_fn((40, 90, 48), |(row, view, d)| {
        let (sin, cos) = g.angles[view].sin_cos();
        let (u, v) = (d as f64 - 23.5, row as f64 - 18.6);
        let source = [130.0 * sin, 130.0 * cos, 0.0];
        let to = [-40.0 * sin + u * cos - source[0], -40.0 * cos - u * sin - source[1], v];
        let long = to.iter().map(|t| t * t).sum::<f64>().sqrt();
        let from = [x - source[0], y - source[1], z];
        let along = from.iter().zip(&to).map(|(a, b)| a * b / long).sum::<f64>();
        let off = from.iter().map(|t| t * t).sum::<f64>() - along * along;
        (0.6 * 2.0 * (radius * radius - off).max(0.0).sqrt()) as f32
    });
    let pixel = g.pixel_size;
    let ct = Ct::new(data, &g, [40, 48, 48]).unwrap();
    let fbp = ct.fbp(FbpOptions::default(), &Device::host()).unwrap();
    let cg = ct.solve(CtMethod::Cg, CtOptions::default().iterations(8).noise(Some(0.0)), &Device::host()).unwrap();
    for (name, image) in [("fdk", fbp.image), ("cg", cg.image)] {
        let slice = ((z / pixel) + 19.5).round() as usize;
        let (mean, _) = inside(image.index_axis(Axis(0), slice), (0.6, x, y, radius), pixel, 4.0);
        assert!((mean - 1.0).abs() < 2e-2, "{name}: {mean}");
        let heights: Vec<f64> = image.axis_iter(Axis(0)).map(|s| s.iter().map(|v| f64::from(*v)).sum()).collect();
        let middle = heights.iter().enumerate().map(|(k, h)| (k as f64 - 19.5) * pixel * h).sum::<f64>()
            / heights.iter().sum::<f64>();
        assert!((middle - z).abs() < 0.15, "{name}: {middle}");
    }
}

/// The corners of an image that no ray of some views passes are air, as far from the axis as they are.
#[test]
fn nothing_is_beyond_the_detector() {
    let disk = (1.0, 4.0, -3.0, 14.0);
    for center in [None, Some(25.0), Some(39.0)] {
        let g = Geometry::parallel(&turn(120, PI), 64).center(center);
        let image = fbp(views(&[disk], &g), &g, 64);
        let beyond = |(y, x): (usize, usize)| (y as f64 - 31.5).hypot(x as f64 - 31.5) > 34.0;
        let values: Vec<f64> =
            image.indexed_iter().filter(|(at, _)| beyond(*at)).map(|(_, v)| f64::from(v.abs())).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!(values.len() > 200 && mean < 0.01, "{center:?}: {mean}");
        let (mean, _) = inside(image.view(), disk, 1.0, 3.0);
        assert!((mean - 1.0).abs() < 1e-2, "{center:?}: {mean}");
    }
}

#[test]
fn disks_off_the_axis_are_where_they_are() {
    let disks = [(1.0, 21.0, 3.0, 8.0), (0.5, -15.0, -16.0, 9.0)];
    let parallel = Geometry::parallel(&turn(120, PI), 80);
    let fan = Geometry::fan(&turn(180, 2.0 * PI), 120, 100.0, 50.0);
    for (name, g) in [("parallel", parallel), ("fan", fan)] {
        let data = views(&disks, &g);
        for (method, image) in [("fbp", fbp(data.clone(), &g, 72)), ("cg", solve(CtMethod::Cg, data, &g, 72, 15))] {
            for disk in disks {
                let (x, y) = centroid(image.view(), disk);
                assert!((x - disk.1).abs() < 0.06 && (y - disk.2).abs() < 0.06, "{name} {method}: {x} {y} of {disk:?}");
                let (mean, worst) = inside(image.view(), disk, 1.0, 3.0);
                let most = if method == "fbp" { 0.1 } else { 0.15 };
                assert!((mean - 1.0).abs() < 1e-2 && worst < most, "{name} {method}: {mean} {worst}");
            }
        }
    }
}

#[test]
fn nan_and_dead_columns_leave_the_image_as_it_is() {
    let disk = (1.0, 6.0, -4.0, 18.0);
    let g = Geometry::parallel(&turn(90, PI), 64);
    let good = views(&[disk, (0.5, -14.0, 12.0, 6.0)], &g);
    let mut bad = good.clone();
    bad.slice_mut(s![0, .., 20]).fill(0.0);
    bad.slice_mut(s![0, .., 41..43]).fill(f32::NAN);
    bad[[0, 7, 30]] = f32::INFINITY;
    let ct = Ct::new(bad.clone(), &g, [1, 64, 64]).unwrap();
    let defects = ct.defects();
    // A column of NaN is dead as well.
    assert_eq!(defects.non_finite, 181);
    assert!(defects.dead.contains(&(0, 20)), "{:?}", defects.dead);
    let filled = fbp(bad.clone(), &g, 64);
    assert!(distance(&filled, &fbp(good.clone(), &g, 64)) < 0.06);
    // A solver leaves them out: other values there change nothing.
    let solved = solve(CtMethod::Cg, bad, &g, 64, 25);
    let error = distance(&solved, &solve(CtMethod::Cg, good, &g, 64, 25));
    assert!(error < 0.15, "{error}");
    let (mean, _) = inside(solved.view(), disk, 1.0, 4.0);
    assert!((mean - 1.0).abs() < 1e-2, "{mean}");
}

#[test]
fn transmission_becomes_absorption() {
    let disk = (0.05, 4.0, 6.0, 15.0);
    let g = Geometry::parallel(&turn(90, PI), 56);
    let want = views(&[disk], &g);
    // Counts over a gain that varies, above a dark current.
    let gain = |d: usize| 900.0 + 10.0 * d as f32;
    let counts = Array3::from_shape_fn(want.dim(), |at| 50.0 + gain(at.2) * (-want[at]).exp());
    let flat = ndarray::Array1::from_shape_fn(56, |d| 50.0 + gain(d)).into_dyn();
    let dark = ndarray::arr1(&[50.0f32]).into_dyn();
    let found = absorption(counts.view(), Some(&flat), Some(&dark)).unwrap();
    assert_eq!(found.clipped, 0);
    let (mean, worst) = inside(fbp(found.values, &g, 56).view(), disk, 1.0, 3.0);
    assert!((mean - 1.0).abs() < 5e-3 && worst < 0.03, "{mean} {worst}");
}

/// ½‖A x − y‖² as misfits say it, and its limit by many iterations.
#[test]
fn solvers_end_where_the_objective_stands() {
    let g = Geometry::parallel(&turn(90, PI), 40);
    let data = noisy(views(&[(1.0, 5.0, -3.0, 12.0)], &g), 0.02, 11);
    let ct = Ct::new(data, &g, [1, 40, 40]).unwrap();
    let solve = |method, tol, iterations| {
        ct.solve(method, CtOptions::default().tol(tol).iterations(iterations).noise(Some(0.0)), &Device::host())
            .unwrap()
    };
    let limit = solve(CtMethod::Cg, 0.0, 2000);
    let limit = limit.misfit.unwrap().powi(2);
    let found = solve(CtMethod::Cg, 1e-2, 2000);
    let gap = (found.misfit.unwrap().powi(2) - limit) / limit;
    println!("cg: {} iterations, gap {gap:.2e}, said {:?}", found.iterations, found.gap);
    assert!(found.stop == Some(Stop::Converged) && found.iterations > 15 && gap < 3e-2, "{gap} {:?}", found.stop);
    // SIRT is far from it for long, and says so.
    let far = solve(CtMethod::Sirt, 1e-3, 40);
    assert_eq!(far.stop, Some(Stop::Iterations));
    let gap = (far.misfit.unwrap().powi(2) - limit) / limit;
    println!("sirt: gap {gap:.2e}, said {:?}", far.gap);
    assert!(gap > 0.02 && far.gap.is_some_and(|said| said > 5e-3), "{gap} {:?}", far.gap);
    let near = solve(CtMethod::Sirt, 0.05, 3000);
    let gap = (near.misfit.unwrap().powi(2) - limit) / limit;
    println!("sirt: {} iterations, gap {gap:.2e}, said {:?}", near.iterations, near.gap);
    assert!(near.stop == Some(Stop::Converged) && near.iterations > 80 && gap < 0.15, "{gap}");
}

/// An image of noisy views is better where it ends at the noise than where the objective stands, and views without noise go on.
#[test]
fn solvers_end_at_the_noise() {
    let g = Geometry::parallel(&turn(60, PI), 40);
    let disk = (1.0, 5.0, -3.0, 12.0);
    let truth = Array2::from_shape_fn((40, 40), |(j, i)| {
        f32::from((i as f64 - 19.5 - disk.1).hypot(j as f64 - 19.5 - disk.2) < disk.3)
    });
    let clean = views(&[disk], &g);
    let data = noisy(clean.clone(), 0.05, 12);
    let ct = Ct::new(data.clone(), &g, [1, 40, 40]).unwrap();
    let sigma = 0.05 * 24.0;
    assert!((ct.noise() / sigma - 1.0).abs() < 0.1, "{}", ct.noise());
    // What fbp of views makes that end with the detector; in air they are better.
    let direct = 0.23875;
    assert!(distance(&fbp(data, &g, 40), &truth) < direct);
    for (method, most) in [(CtMethod::Cg, 30), (CtMethod::Sirt, 200)] {
        let options = || CtOptions::default().iterations(most);
        let found = ct.solve(method, options().noise(Some(ct.noise())), &Device::host()).unwrap();
        assert!(found.at_noise && found.stop == Some(Stop::Converged), "{method:?}: {:?}", found.stop);
        let rms = found.deviation.unwrap() / ct.noise();
        assert!((0.7..=1.0).contains(&rms), "{method:?}: {rms}");
        let error = distance(&found.image.index_axis_move(Axis(0), 0), &truth);
        println!("{method:?}: {} iterations, {error} of {direct}", found.iterations);
        assert!(error < 1.05 * direct, "{method:?}: {error} {direct}");
    }
    let on = ct.solve(CtMethod::Cg, CtOptions::default().iterations(30).noise(Some(0.0)), &Device::host()).unwrap();
    assert!(!on.at_noise && distance(&on.image.index_axis_move(Axis(0), 0), &truth) > 1.5 * direct);
    let ct = Ct::new(clean, &g, [1, 40, 40]).unwrap();
    let options = CtOptions::default().iterations(40).noise(Some(ct.noise()));
    let found = ct.solve(CtMethod::Cg, options, &Device::host()).unwrap();
    assert!(!found.at_noise && found.iterations == 40, "{}", ct.noise());
    let bad = CtOptions::default().noise(Some(-1.0));
    assert!(ct.solve(CtMethod::Cg, bad, &Device::host()).unwrap_err().to_string().contains("noise"));
}

/// Noise that neighbours on the detector share, of this part of the largest value.
fn blurred(views: Array3<f32>, part: f64, seed: u64) -> Array3<f32> {
    let most = views.iter().fold(0.0f32, |m, v| m.max(*v));
    let white = noisy(Array3::from_elem(views.raw_dim(), 1.0), part, seed) - 1.0;
    let n = views.len_of(Axis(2));
    // (1, 2, 1)/√6 keeps the deviation.
    let at = |v: usize, d: usize| white[[0, v, d.min(n - 1)]];
    let noise = Array3::from_shape_fn(views.raw_dim(), |(_, v, d)| {
        (at(v, d.saturating_sub(1)) + 2.0 * at(v, d) + at(v, d + 1)) / 6f32.sqrt()
    });
    views + noise * most
}

/// What a user gets who gives no noise and no iterations is not worse than what fbp makes of the same views, whether the noise is what
/// it is thought to be, is shared by neighbours, or is none; of many views and of few.
#[test]
fn by_default_solvers_are_not_worse_than_back_projection() {
    let size = 73;
    let host = Device::host();
    let truth = shepp_logan_image(size, size);
    let mut worse = Vec::new();
    for count in [100, 36] {
        let g = Geometry::parallel(&turn(count, PI), size).center(Some(36.0));
        let clean = head_of(&g, size as f64);
        for (name, data, most) in [
            ("no noise", clean.clone(), 1.03),
            ("little noise", noisy(clean.clone(), 0.01, 3), 1.03),
            ("much noise", noisy(clean.clone(), 0.04, 4), 1.06),
            ("little noise, shared", blurred(clean.clone(), 0.01, 5), 1.07),
            ("much noise, shared", blurred(clean, 0.04, 6), 1.03),
        ] {
            let ct = Ct::new(data, &g, [1, size, size]).unwrap();
            let off = |x: Array3<f32>| distance(&x.index_axis_move(Axis(0), 0), &truth);
            let direct = off(ct.fbp(FbpOptions::default(), &host).unwrap().image);
            for method in [CtMethod::Cg, CtMethod::Sirt] {
                let found = ct.solve(method, CtOptions::default(), &host).unwrap();
                let how = format!(
                    "{} iterations, at noise {}, told best {}",
                    found.iterations, found.at_noise, found.told_best
                );
                assert!((found.at_noise || found.told_best) && found.stop == Some(Stop::Converged), "{name}: {how}");
                let part = off(found.image) / direct;
                println!("{count} views, {name}, {method:?}: {part:.3} of fbp's {direct:.4}; {how}");
                if part >= most {
                    worse.push(format!("{count} views, {name}, {method:?}: {part} of {direct}"));
                }
            }
        }
    }
    assert!(worse.is_empty(), "{worse:#?}");
}

/// Without a weight that of l2 is near the best one, whatever the noise, the views, the detector and the object; and of a slice among empty
/// ones it is that of the slice.
#[test]
fn damping_follows_the_noise() {
    let size = 72;
    let middle = |n: usize| Some((n as f64 - 1.0) / 2.0);
    let parallel = |count: usize| Geometry::parallel(&turn(count, PI), size).center(middle(size));
    let disks: [Disk; 3] = [(1.0, 4.0, -3.0, 24.0), (-0.5, 12.0, 2.0, 6.0), (0.7, -6.0, 9.0, 3.0)];
    let drawn = Array2::from_shape_fn((size, size), |(j, i)| {
        let (y, x) = (j as f64 - 35.5, i as f64 - 35.5);
        disks.iter().filter(|d| (x - d.1).hypot(y - d.2) < d.3).map(|d| d.0).sum::<f64>() as f32
    });
    let head = shepp_logan_image(size, size);
    let of_head = |g: &Geometry| head_of(g, size as f64 * g.pixel_size);
    let weigh = |data: Array3<f32>, g: &Geometry, weight: Option<Weight>, noise: Option<f64>| {
        let slices = data.len_of(Axis(0));
        let mut regularisation = Regularisation::default();
        regularisation.terms.push(Regulariser::new(Kind::L2, weight));
        let ct = Ct::new(data, g, [slices, size, size]).unwrap();
        let found = ct.regularise(&regularisation, noise, ConvexOptions::default(), &Device::host()).unwrap();
        (found.image.image, found.terms[0].absolute)
    };
    let fine = Geometry::parallel(&turn(60, PI), 4 * size).detector_size(0.25).center(middle(4 * size));
    let fan = Geometry::fan(&turn(60, 2.0 * PI), 4 * size, 200.0, 600.0).center(middle(4 * size));
    let tenths = parallel(120).pixel_size(0.1).detector_size(0.1);
    for (name, g, clean, truth, noise, most) in [
        ("few views", &parallel(36), of_head(&parallel(36)), &head, 0.001, 1.2),
        ("few views, noise", &parallel(36), of_head(&parallel(36)), &head, 0.05, 1.2),
        ("tenths of a unit", &tenths, of_head(&tenths), &head, 0.02, 1.2),
        ("much noise", &parallel(60), of_head(&parallel(60)), &head, 0.15, 1.2),
        ("disks", &parallel(60), views(&disks, &parallel(60)), &drawn, 0.02, 1.2),
        ("a fine detector", &fine, views(&disks, &fine), &drawn, 0.02, 1.2),
        // What is even has less than others where noise is.
        ("a fine detector, noise", &fine, views(&disks, &fine), &drawn, 0.1, 1.65),
        ("a fan", &fan, views(&disks, &fan), &drawn, 0.05, 1.3),
    ] {
        let data = noisy(clean, noise, 3);
        let off = |weight| {
            let (image, weight) = weigh(data.clone(), g, weight, None);
            (distance(&image.index_axis_move(Axis(0), 0), truth), weight)
        };
        let (own, weight) = off(None);
        let least = (-4..=4).map(|k| off(Some(Weight::Absolute(weight * 2f64.powi(k)))).0).fold(own, f64::min);
        println!("{name}: {own:.4} by {weight:.3e}, at best {least:.4}");
        assert!(own < most * least, "{name}: {own}, at best {least}");
    }
    let slice = noisy(of_head(&parallel(36)), 0.05, 3);
    let mut stack = Array3::zeros((4, 36, size));
    stack.index_axis_mut(Axis(0), 2).assign(&slice.index_axis(Axis(0), 0));
    let [alone, among] = [slice, stack].map(|data| weigh(data, &parallel(36), None, Some(2.0)).1);
    assert!((among / alone - 1.0).abs() < 0.01, "{alone} {among}");
}

/// The iterate of a reading is the image so far, in units of the result.
#[test]
fn what_is_told_is_the_image_so_far() {
    let g = Geometry::parallel(&turn(60, PI), 40);
    for device in devices() {
        for (method, unit) in [(CtMethod::Cg, 1.0), (CtMethod::Sirt, 1.0), (CtMethod::Cg, 1e5)] {
            let views = views(&[(1.0, 5.0, -3.0, 12.0)], &g).mapv(|v| v * unit);
            let ct = Ct::new(views, &g, [1, 40, 40]).unwrap();
            let mut told = Vec::new();
            let options = CtOptions::default().noise(Some(0.0)).iterations(10).tol(0.0).progress(|p| {
                told.push((p.reading(), p.iterate().unwrap().to(&Device::host()).unwrap().to_real_vec().unwrap()));
            });
            let found = ct.solve(method, options, &device).unwrap();
            let (last, x) = told.last().unwrap();
            assert_eq!((last.iteration, last.left_out), (10, false));
            assert!(found.image.iter().eq(x), "{method:?} {unit} on {}", device.name());
        }
    }
}

/// The solve without the views that are left out is told, and ends where it is cancelled, with the image that it has come to.
#[test]
fn what_is_left_out_is_told_and_cancelled() {
    let g = Geometry::parallel(&turn(60, PI), 40);
    let disk = (1.0, 5.0, -3.0, 12.0);
    let ct = Ct::new(noisy(views(&[disk], &g), 0.02, 12), &g, [1, 40, 40]).unwrap();
    for (method, at) in [(CtMethod::Cg, 4), (CtMethod::Sirt, 20)] {
        let (cancel, told) = (AtomicBool::new(false), RefCell::new(Vec::new()));
        let tell = |p: &mut CtProgress| {
            let p = p.reading();
            told.borrow_mut().push(p);
            cancel.store(p.iteration >= at, Ordering::Relaxed);
        };
        let options = CtOptions::default().cancel(&cancel).progress(tell);
        let found = ct.solve(method, options, &Device::host()).unwrap();
        assert_eq!((found.stop, found.left_out), (Some(Stop::Cancelled), 6), "{method:?}");
        assert!((at..=at + 1).contains(&found.iterations), "{method:?}: {}", found.iterations);
        let told = told.into_inner();
        assert!(told.iter().all(|p| p.left_out && p.misfit < 1.0) && told.last().unwrap().iteration == at, "{told:?}");
        // It is no image of one iteration.
        let misfit = found.misfit.unwrap();
        assert!(misfit < 0.1 && found.told_best == found.at_noise, "{method:?}: {misfit}");
        let (mean, _) = inside(found.image.index_axis(Axis(0), 0), disk, 1.0, 4.0);
        assert!((mean - 1.0).abs() < 0.05, "{method:?}: {mean}");
        // To its end: both solves are told, this one first.
        let told = RefCell::new(Vec::new());
        let options = CtOptions::default().progress(|p: &mut CtProgress| told.borrow_mut().push(p.reading().left_out));
        let found = ct.solve(method, options, &Device::host()).unwrap();
        assert_eq!((found.stop, found.left_out), (Some(Stop::Converged), 0));
        let told = told.into_inner();
        let first = told.iter().take_while(|left_out| **left_out).count();
        assert!(first > 2 && first < told.len() && !told[first..].contains(&true), "{told:?}");
    }
    // Cancelled before anything is done, of a stack of which some slices tell: it ends at once.
    let both = noisy(views(&[disk], &g), 0.02, 13);
    let stack = ndarray::concatenate(Axis(0), &[both.view(); 5]).unwrap();
    let ct = Ct::new(stack, &g, [5, 40, 40]).unwrap();
    let cancel = AtomicBool::new(true);
    let found = ct.solve(CtMethod::Sirt, CtOptions::default().cancel(&cancel), &Device::host()).unwrap();
    assert!(found.stop == Some(Stop::Cancelled) && found.iterations <= 2, "{} {:?}", found.iterations, found.stop);
}

#[test]
fn scale_changes_nothing() {
    let g = Geometry::parallel(&turn(40, PI), 40);
    let data = views(&[(1.0, 5.0, -3.0, 11.0)], &g);
    for method in [CtMethod::Cg, CtMethod::Sirt] {
        let want = solve(method, data.clone(), &g, 40, 12);
        for scale in [1e-25f32, 1e-6, 1e6, 1e25] {
            let got = solve(method, data.mapv(|v| v * scale), &g, 40, 12) / scale;
            // Scales that are no powers of two round the data.
            let error = distance(&got, &want);
            assert!(error < 1e-4, "{method:?} {scale}: {error}");
        }
    }
}

#[test]
fn all_devices_agree() {
    let g = Geometry::fan(&turn(50, 2.0 * PI), 60, 90.0, 30.0).center(Some(30.7));
    let mut data = views(&[(1.0, 5.0, -3.0, 11.0)], &g);
    data[[0, 3, 20]] = f32::NAN;
    let ct = Ct::new(data, &g, [1, 44, 44]).unwrap();
    let of = |device: &Device| -> Result<Vec<Array3<f32>>> {
        let solve =
            |method| Ok(ct.solve(method, CtOptions::default().iterations(15).tol(0.0).noise(Some(0.0)), device)?.image);
        Ok(vec![ct.fbp(FbpOptions::default(), device)?.image, solve(CtMethod::Cg)?, solve(CtMethod::Sirt)?])
    };
    let want = of(&Device::host()).unwrap();
    for device in devices() {
        let got = of(&device).unwrap();
        for (k, (got, want)) in got.iter().zip(&want).enumerate() {
            let plane = |a: &Array3<f32>| a.index_axis(Axis(0), 0).to_owned();
            let error = distance(&plane(got), &plane(want));
            // Conjugate gradients find the largest eigenvalue of views, which is far above all others, again and again, each time from
            // rounding: iterates differ most while they do.
            assert!(error < [5e-6, 1e-4, 5e-6][k], "{k} on {}: {error:.1e}", device.name());
        }
        // And twice the same bits.
        assert!(of(&device).unwrap() == got);
    }
}

#[test]
fn stacks_go_by_slices() {
    let g = Geometry::parallel(&turn(45, PI), 40);
    let parts = [views(&[(1.0, 5.0, -3.0, 9.0)], &g), views(&[(2.0, -6.0, 2.0, 7.0)], &g)];
    let both = ndarray::concatenate(Axis(0), &[parts[0].view(), parts[1].view()]).unwrap();
    let ct = Ct::new(both, &g, [2, 40, 40]).unwrap();
    let images = ct.fbp(FbpOptions::default(), &Device::host()).unwrap().image;
    for (k, part) in parts.into_iter().enumerate() {
        let alone = fbp(part, &g, 40);
        assert!(distance(&images.index_axis(Axis(0), k).to_owned(), &alone) < 1e-6);
    }
}

#[test]
fn what_makes_no_scan_is_refused() {
    let g = Geometry::parallel(&turn(10, PI), 20);
    let of = |views: Array3<f32>, g: &Geometry, image| Ct::new(views, g, image).unwrap_err().to_string();
    assert!(of(Array3::zeros((1, 9, 20)), &g, [1, 8, 8]).contains("9 angles"));
    assert!(of(Array3::zeros((2, 10, 20)), &g, [1, 8, 8]).contains("1 slices"));
    assert!(of(Array3::from_elem((1, 10, 20), f32::NAN), &g, [1, 8, 8]).contains("no finite sample"));
    let ct = Ct::new(Array3::zeros((1, 10, 20)), &g, [1, 8, 8]).unwrap();
    for options in [CtOptions::default().tol(-1.0), CtOptions::default().iterations(0)] {
        assert!(ct.solve(CtMethod::Cg, options, &Device::host()).is_err());
    }
    for method in [CtMethod::Cg, CtMethod::Sirt] {
        let nothing = ct.solve(method, CtOptions::default(), &Device::host()).unwrap();
        assert!(nothing.stop == Some(Stop::Zero) && nothing.image.iter().all(|v| *v == 0.0));
    }
}

#[test]
fn total_variation_makes_more_of_a_quarter_of_the_views() {
    use linops::app::regularise::{Kind, Regularisation, Regulariser};
    use linops::convex::ConvexOptions;
    let disks = [(1.0, 5.0, -3.0, 13.0), (0.5, -12.0, 9.0, 5.0)];
    let g = Geometry::parallel(&turn(24, PI), 56);
    let ct = Ct::new(noisy(views(&disks, &g), 0.01, 2), &g, [1, 48, 48]).unwrap();
    // Its estimate of the noise is not far off.
    assert!((0.5..2.0).contains(&(ct.noise() / 0.26)), "{}", ct.noise());
    let all = Geometry::parallel(&turn(300, PI), 56);
    let want = fbp(views(&disks, &all), &all, 48);
    let direct = ct.fbp(FbpOptions::default(), &Device::host()).unwrap().image.index_axis_move(Axis(0), 0);
    let tv = Regularisation::default().terms(vec![Regulariser::new(Kind::Tv, None)]).non_negative(true);
    let found = ct.regularise(&tv, None, ConvexOptions::default().tol(1e-3), &Device::host()).unwrap();
    assert!(found.terms[0].default && found.solved.stop == Stop::Converged, "{:?}", found.solved.stop);
    let image = found.image.image.index_axis_move(Axis(0), 0);
    let (tv, direct) = (distance(&image, &want), distance(&direct, &want));
    println!("tv {tv:.3}, fbp {direct:.3}");
    assert!(tv < 0.6 * direct && image.iter().all(|v| *v >= 0.0), "{tv} {direct}");
    let (mean, _) = inside(image.view(), disks[0], 1.0, 4.0);
    assert!((mean - 1.0).abs() < 0.03, "{mean}");
}
