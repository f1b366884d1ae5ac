//! Models with a field map against the sums that define them, and the constructors that imaging has names for.

mod common;

use common::data::{Random, complex, distance, wide, widened};
use common::{apply_on, bits, devices};
use linops::linop::{self, Accuracy, FftOptions, NufftOptions, OffResonanceOptions, Segmentation, Segments};
use linops::{Device, Linop, Tensor};
use ndarray::{ArrayD, IxDyn};
use num_complex::Complex64;
use std::f64::consts::TAU;

const NY: usize = 24;
const NX: usize = 20;
const READOUT: usize = 64;

/// Cycles per field of view: three interleaves of a spiral.
fn points() -> ArrayD<f64> {
    ArrayD::from_shape_fn(IxDyn(&[3, READOUT, 2]), |i| {
        let r = i[1] as f64 / READOUT as f64;
        let angle = TAU * (5.0 * r + i[0] as f64 / 3.0);
        if i[2] == 0 { 0.5 * NY as f64 * r * angle.sin() } else { 0.5 * NX as f64 * r * angle.cos() }
    })
}

/// Hz, from -100 to 100, smooth and with a bump, as between tissue and air.
fn field() -> ArrayD<f64> {
    ArrayD::from_shape_fn(IxDyn(&[NY, NX]), |i| {
        let (y, x) = (i[0] as f64 / NY as f64 - 0.5, i[1] as f64 / NX as f64 - 0.5);
        let bump = 1.0 / (1.0 + 40.0 * ((y - 0.3).powi(2) + x * x));
        (140.0 * bump - 60.0 + 60.0 * y).clamp(-100.0, 100.0)
    })
}

/// Seconds: 20 ms.
fn times() -> ArrayD<f64> {
    ArrayD::from_shape_fn(IxDyn(&[READOUT]), |i| 0.02 * i[0] as f64 / (READOUT - 1) as f64)
}

fn transform() -> Linop {
    let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-6));
    linop::nufft(format!("Ny={NY} Nx={NX}"), &points(), "Ny Nx", options, "R S").unwrap()
}

/// Σ x exp(−2πi (k·r + f t)) / √N, as it is written.
fn exact(x: &ArrayD<Complex64>) -> ArrayD<Complex64> {
    let (k, f, t) = (points(), field(), times());
    ArrayD::from_shape_fn(IxDyn(&[3, READOUT]), |i| {
        let turns = |y: usize, x: usize| {
            let along = |d: usize, at: usize, n: usize| k[[i[0], i[1], d]] * (at as f64 - (n / 2) as f64) / n as f64;
            along(0, y, NY) + along(1, x, NX) + f[[y, x]] * t[[i[1]]]
        };
        let pixels = (0..NY).flat_map(|y| (0..NX).map(move |x| (y, x)));
        let sum: Complex64 = pixels.map(|(y, n)| x[[y, n]] * Complex64::from_polar(1.0, -TAU * turns(y, n))).sum();
        sum / ((NY * NX) as f64).sqrt()
    })
}

fn with(segments: Segments, of: Segmentation) -> Linop {
    let options = OffResonanceOptions::default().segments(segments).of(of);
    linop::off_resonance(&transform(), (&field(), "Ny Nx"), (&times(), "S"), options).unwrap()
}

/// Four turns of phase between the ends of the field at the end of the readout.
#[test]
fn errors_fall_with_the_number_of_segments() {
    let x = complex(format!("Ny={NY} Nx={NX}"), 1);
    let want = exact(&wide(&x));
    let limits = [(4, 0.6), (6, 5e-2), (8, 2e-3), (10, 1e-4), (12, 5e-6), (16, 2e-6)];
    for of in [Segmentation::Time, Segmentation::Frequency] {
        for (count, limit) in limits {
            let a = with(Segments::Count(count), of);
            for device in devices() {
                let error = distance(&apply_on(&device, &a, &x).unwrap(), &want);
                assert!(error < limit, "{count} segments of {of:?} on {}: {error:.1e} > {limit:.0e}", device.name());
            }
        }
    }
}

#[test]
fn a_tolerance_finds_its_segments() {
    let x = complex(format!("Ny={NY} Nx={NX}"), 2);
    let want = exact(&wide(&x));
    for of in [Segmentation::Time, Segmentation::Frequency] {
        let mut before = f64::INFINITY;
        for tol in [1e-1, 1e-2, 1e-3, 1e-4] {
            let a = with(Segments::Tol(tol), of);
            let error = distance(&apply_on(&Device::host(), &a, &x).unwrap(), &want);
            assert!(error < 2.0 * tol && error <= before, "{of:?} {tol}: {error}");
            before = error;
        }
    }
}

#[test]
fn the_normal_may_be_a_convolution() {
    let build = |toeplitz| {
        let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-4)).toeplitz(Some(toeplitz));
        let a = linop::nufft(format!("Ny={NY} Nx={NX}"), &points(), "Ny Nx", options, "R S").unwrap();
        let options = OffResonanceOptions::default().segments(Segments::Count(6));
        linop::off_resonance(&a, (&field(), "Ny Nx"), (&times(), "S"), options).unwrap().n()
    };
    let x = complex(format!("Ny={NY} Nx={NX}"), 3);
    for device in devices() {
        let [fast, plain] = [true, false].map(|t| apply_on(&device, &build(t), &x).unwrap());
        assert!(distance(&fast, &widened(&plain)) < 5e-4, "{}", device.name());
    }
    let plan = build(true).plan(&Device::host(), linops::DType::Complex32).unwrap();
    assert!(plan.steps.iter().all(|s| !["interpolate", "spread"].contains(&s.name())), "{plan}");
}

#[test]
fn no_field_is_no_change() {
    let (a, zero) = (transform(), ArrayD::zeros(IxDyn(&[NY, NX])));
    let b = linop::off_resonance(&a, (&zero, "Ny Nx"), (&times(), "S"), OffResonanceOptions::default()).unwrap();
    assert!(b.to_string().starts_with("off_resonance (1 segments of time"), "{b}");
    let x = complex(a.input().unwrap(), 4);
    let [p, q] = [&a, &b].map(|a| apply_on(&Device::host(), a, &x).unwrap());
    assert!(distance(&p, &widened(&q)) < 1e-6);
    // A constant field is a phase for each sample.
    let constant = ArrayD::from_elem(IxDyn(&[NY, NX]), 30.0);
    let b = linop::off_resonance(&a, (&constant, "Ny Nx"), (&times(), "S"), OffResonanceOptions::default()).unwrap();
    let phase = |i: &[usize]| Complex64::from_polar(1.0, -TAU * 30.0 * times()[[i[1]]]);
    let want = ArrayD::from_shape_fn(IxDyn(&[3, READOUT]), |i| phase(&[i[0], i[1]])) * widened(&p);
    assert!(distance(&apply_on(&Device::host(), &b, &x).unwrap(), &want) < 1e-6);
}

#[test]
fn fields_and_times_that_do_not_fit_are_errors() {
    let a = transform();
    let default = OffResonanceOptions::default;
    let message = |f: &ArrayD<f64>, dims: &str, t: &ArrayD<f64>, times: &str, options| {
        linop::off_resonance(&a, (f, dims), (t, times), options).unwrap_err().to_string()
    };
    let (f, t) = (field(), times());
    assert!(message(&f, "Nx Ny", &t, "S", default()).contains("extent 24, expected 20"));
    assert!(message(&f, "Ny Nz", &t, "S", default()).contains("dim Nz of the field map is not in the input"));
    assert!(message(&f, "Ny Nx", &t, "Nx", default()).contains("dim Nx of the times is not in the output"));
    assert!(message(&f.mapv(|v| v / 0.0), "Ny Nx", &t, "S", default()).contains("expected finite Hz"));
    assert!(message(&f, "Ny Nx", &t, "S", default().segments(Segments::Count(0))).contains("0 segments"));
    assert!(message(&f, "Ny Nx", &t, "S", default().segments(Segments::Tol(0.0))).contains("tol is 0"));
    assert!(message(&f, "Ny Nx", &(t * 1e3), "S", default()).contains("more than 128 segments"));
}

#[test]
fn sets_of_maps_are_summed_before_the_transform() {
    let mut r = Random(7);
    let f = linop::fft("Ny=6 Nx=5", "Ny Nx", FftOptions::default().centered(true)).unwrap().out("Ky Kx").unwrap();
    let mask = common::data::mask("Ky=6 Kx=5", 0.5, 1);
    let one = linop::sampling(f.output().unwrap(), &mask, "S").unwrap() * &f;
    let maps = complex("E=2 C=3 Ny=6 Nx=5", 2);
    let a = linop::sense(&maps, &one, "C").unwrap();
    let x = complex("E=2 Ny=6 Nx=5", (r.below(9) + 3) as u64);
    let (m, v) = (maps.to_array().unwrap(), x.to_array().unwrap());
    for device in devices() {
        let y = apply_on(&device, &a, &x).unwrap();
        for c in 0..3 {
            let image = ArrayD::from_shape_fn(IxDyn(&[6, 5]), |i| {
                (0..2).map(|e| m[[e, c, i[0], i[1]]] * v[[e, i[0], i[1]]]).sum::<num_complex::Complex32>()
            });
            let want = apply_on(&device, &one, &Tensor::from_array(image, "Ny Nx").unwrap()).unwrap();
            let got = y.index_axis(ndarray::Axis(0), c).to_owned();
            assert!(distance(&got, &widened(&want)) < 1e-6, "coil {c} on {}", device.name());
        }
    }
    // As the chain that it stands for.
    let maps = complex("C=3 Ny=6 Nx=5", 5);
    let a = linop::sense(&maps, &f, "C").unwrap();
    let coils = linop::fft("C=3 Ny=6 Nx=5", "Ny Nx", FftOptions::default().centered(true)).unwrap();
    let chain = coils.out("C Ky Kx").unwrap() * linop::diagonal("Ny=6 Nx=5", &maps).unwrap();
    let x = complex("Ny=6 Nx=5", 6);
    for device in devices() {
        let [p, q] = [&a, &chain].map(|a| bits(&apply_on(&device, a, &x).unwrap()));
        assert_eq!(p, q, "{}", device.name());
    }
    let message = |coil| linop::sense(&maps, &f, coil).unwrap_err().to_string();
    assert!(message("E").contains("dim E is not in the maps"));
    assert!(message("Ny").contains("takes the image of one coil"));
}

#[cfg(feature = "io")]
mod files {
    use super::*;
    use linops::io::{Array, Output, write_npy};

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, values: ArrayD<f64>| {
            let output = Output::create(folder.path().join(name), &["npy"], false).unwrap();
            write_npy(output, &Array::F64(values)).unwrap();
        };
        write("field.npy", ArrayD::from_shape_fn(IxDyn(&[6, 5]), |i| 10.0 * (i[0] as f64 - 2.0) + i[1] as f64));
        write("times.npy", ArrayD::from_shape_fn(IxDyn(&[6]), |i| 1e-3 * i[0] as f64));
        folder
    }

    fn read(folder: &tempfile::TempDir, text: &str) -> linops::Result<Linop> {
        let path = folder.path().join("linop.json");
        std::fs::write(&path, text).unwrap();
        Linop::from_file(path)
    }

    #[test]
    fn files_name_what_the_constructors_make() {
        let folder = folder();
        let fft = r#"{ "op": "fft", "in": "Ny=6 Nx=5", "axes": ["Ny", "Nx"], "out": "Ky Kx" }"#;
        let with = |rest: &str| format!(r#"{{ "linop": {fft}, {rest} }}"#);
        let a = linop::fft("Ny=6 Nx=5", "Ny Nx", FftOptions::default()).unwrap().out("Ky Kx").unwrap();
        let field = ArrayD::from_shape_fn(IxDyn(&[6, 5]), |i| 10.0 * (i[0] as f64 - 2.0) + i[1] as f64);
        let times = ArrayD::from_shape_fn(IxDyn(&[6]), |i| 1e-3 * i[0] as f64);
        let corrected = |options| linop::off_resonance(&a, (&field, "Ny Nx"), (&times, "Ky"), options).unwrap();
        let paths = r#""op": "off_resonance", "field": "field.npy", "field_dims": "Ny Nx", "times": "times.npy",
            "time_dims": "Ky""#;
        let three = OffResonanceOptions::default().segments(Segments::Count(3));
        let all = [
            (with(r#""op": "over", "sizes": { "T": 3, "E": 2 }"#), a.over("T=3 E=2").unwrap()),
            (
                with(r#""op": "over", "in": "T=3 Ny=6 Nx=5", "out": "F Ky Kx""#),
                a.over("T=3").unwrap().out("F Ky Kx").unwrap(),
            ),
            (with(paths), corrected(OffResonanceOptions::default())),
            (
                with(&format!(r#"{paths}, "segments": 3, "of": "frequency""#)),
                corrected(three.of(Segmentation::Frequency)),
            ),
            (r#"{ "op": "mean", "in": "A=3 B=2", "axes": ["A"] }"#.into(), linop::mean("A=3 B=2", "A").unwrap()),
            (
                r#"{ "op": "tile", "in": "A=3 B=2", "copies": { "B": 4 } }"#.into(),
                linop::tile("A=3 B=2", "B=4").unwrap(),
            ),
            (
                r#"{ "op": "hankel", "in": "A=5 B=6", "size": { "A": 2, "B": 3 }, "out": "P W" }"#.into(),
                linop::hankel("A=5 B=6", "A=2 B=3", "P W").unwrap(),
            ),
        ];
        for (text, want) in all {
            let got = read(&folder, &text).unwrap();
            assert_eq!(got.to_string(), want.to_string());
            let x = complex(want.input().unwrap(), 1);
            let [p, q] = [&got, &want].map(|a| bits(&apply_on(&Device::host(), a, &x).unwrap()));
            assert_eq!(p, q, "{text}");
        }
        // Dims in front come from what is before.
        let chain = format!(
            r#"{{ "op": "chain", "in": "T=4 Ny=6 Nx=5", "linops": [ {{ "op": "flip", "axes": ["T"] }}, {} ] }}"#,
            with(r#""op": "over""#)
        );
        assert_eq!(read(&folder, &chain).unwrap().output().unwrap().to_string(), "T=4 Ky=6 Kx=5");
        for (rest, part) in [
            (r#""op": "over""#, "sizes: is missing"),
            (r#""op": "over", "sizes": { "Ny": 2 }"#, "dim Ny is in the input"),
            (r#""op": "over", "in": "T=4 Ny=6 Nx=4""#, "expected \"... Ny=6 Nx=5\""),
            (&format!(r#"{paths}, "segments": 3, "tol": 1e-2"#), "goes without \"segments\""),
            (&format!(r#"{paths}, "of": "phase""#), "expected time or frequency"),
            (&paths.replace("times.npy", "none.npy"), "times: "),
        ] {
            let e = read(&folder, &with(rest)).unwrap_err().to_string();
            assert!(e.contains(part), "{e}");
        }
        let kron = |input: &str| {
            format!(
                r#"{{ "op": "kron", {input} "linops": [ {fft}, {{ "op": "flip", "in": "T=3", "axes": ["T"] }} ] }}"#
            )
        };
        assert_eq!(read(&folder, &kron("")).unwrap().output().unwrap().to_string(), "Ky=6 Kx=5 T=3");
        let e = read(&folder, &kron(r#""in": "T=3 Ny=6 Nx=5","#)).unwrap_err().to_string();
        assert!(e.contains("in: "), "{e}");
    }
}
