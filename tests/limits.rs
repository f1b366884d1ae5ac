//! Tensors beyond the binding limit, dispatches beyond the group limit, poor devices and checked kernels.
#![cfg(feature = "gpu")]

mod common;

use common::data::{complex, distance, indices, mask, real, wide};
use common::{apply_on, bits, gpu_with};
use linops::gpu::GpuOptions;
use linops::linop::{
    self, Align, Border, Boundary, ConvolveMode, ConvolveOptions, FftOptions, Geometry, GradientOptions,
};
use linops::{Device, Error, Linop, Result, Tensor, apply_f64};

/// What one binding holds in these tests: 8192 complex values.
const SMALL: u64 = 64 << 10;

const TOLERANCE: f64 = 2e-6;

/// Forward, adjoint and normal of each linop against f64.
fn check(device: &Device, linops: Vec<(&str, Linop)>) {
    let mut failures = Vec::new();
    for (name, a) in linops {
        for (what, op) in [("forward", a.clone()), ("adjoint", a.h()), ("normal", a.n())] {
            let x = complex(op.input().unwrap(), 1);
            let want = apply_f64(&op, &wide(&x)).unwrap();
            match apply_on(device, &op, &x).map(|y| distance(&y, &want)) {
                Ok(e) if e <= TOLERANCE => {}
                Ok(e) => failures.push(format!("{name}, {what}: {e:.2e}")),
                Err(e) => failures.push(format!("{name}, {what}: {e}")),
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// So many elements that maps and sums go by units of 16 bytes, through windows: beside each other, repeated, filled up, cut.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn units_of_sixteen_bytes_beyond_one_binding() {
    let Some(device) = gpu_with(GpuOptions::default().max_binding(Some(1 << 20))) else { return };
    let image = "Y=1030 X=1024";
    let rows = linop::stack(vec![linop::scalar("N=530000", 2.0).unwrap(); 2], None, Some(("S", 0))).unwrap();
    check(
        &device,
        vec![
            ("weights", linop::diagonal(image, &complex(image, 2)).unwrap()),
            ("weights of rows and columns", {
                let columns = linop::diagonal(image, &real("X=1024", 3)).unwrap();
                linop::diagonal(image, &complex("Y=1030", 4)).unwrap() * columns
            }),
            ("coils", linop::diagonal("Y=520 X=1024", &complex("C=3 Y=520 X=1024", 5)).unwrap()),
            ("filled up and turned", {
                let pad = linop::pad("Y=1020 X=1024", "Y=1030 X=1032", Align::Center).unwrap().keep();
                linop::flip("Y=1030 X=1032", "Y").unwrap() * pad
            }),
            ("cut", linop::slice("Y=1030 X=1040", &[("X", 6..1032)]).unwrap()),
            ("rolled", linop::roll(image, &[("Y", 11)]).unwrap()),
            ("sum of images", linop::sum("C=5 Y=300 X=256", "C").unwrap()),
            ("sum of neighbours", linop::sum("Y=300 X=256 C=6", "C").unwrap()),
            ("side by side", rows),
        ],
    );
}

fn small_bindings() -> Option<Device> {
    gpu_with(GpuOptions::default().max_binding(Some(SMALL)))
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn transforms_beyond_one_binding() {
    let Some(device) = small_bindings() else { return };
    let fft =
        |dims: &str, axes: &str, centered| linop::fft(dims, axes, FftOptions::default().centered(centered)).unwrap();
    let masked = {
        let f = fft("Y=120 X=150", "Y X", true).out("Y X").unwrap();
        linop::diagonal("Y=120 X=150", &mask("Y=120", 0.5, 1)).unwrap() * f
    };
    let maps = linop::diagonal("Y=96 X=100", &complex("C=3 Y=96 X=100", 2)).unwrap();
    check(
        &device,
        vec![
            ("outer axis", fft("N=60 A=7 B=50", "N", false)),
            ("outer axis, uneven panels", fft("N=45 A=401", "N", true)),
            ("inner axis", fft("A=211 N=90", "N", true)),
            ("inner axis, Bluestein", fft("A=300 N=67", "N", false)),
            ("middle axis", fft("A=3 N=70 B=101", "N", false)),
            ("two axes", fft("Y=130 X=140", "Y X", true)),
            ("two axes, several images", fft("C=3 Y=96 X=90", "Y X", false)),
            ("behind a mask", masked),
            ("behind coil sensitivities", fft("C=3 Y=96 X=100", "Y X", true) * maps),
            ("middle axis, Bluestein", fft("A=3 N=71 B=101", "N", false)),
            ("longest line", fft("A=3 N=8000", "N", false)),
        ],
    );
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn cosine_transforms_beyond_one_binding() {
    let Some(device) = small_bindings() else { return };
    let dct = |dims: &str, kind| linop::dct(dims, "N", linop::TrigOptions::default().kind(kind)).unwrap();
    use linop::TrigType::{I, II, III, IV};
    check(
        &device,
        vec![
            ("outer axis", dct("N=60 A=350", II)),
            ("inner axis", dct("A=301 N=90", III)),
            ("middle axis", dct("A=3 N=75 B=101", IV)),
            ("table in parts", dct("N=3601 B=3", I)),
            ("longest line", dct("A=3 N=8000", II)),
            ("awkward length", dct("A=3 N=71 B=101", IV)),
            ("by a matrix", dct("A=41 N=32 B=30", II)),
        ],
    );
    // Real values take other kernels.
    let half = |dims: &str| linop::rfft(dims, "N", linop::RfftOptions::default()).unwrap();
    let reals = [
        dct("N=60 A=350", II),
        dct("N=3601 B=3", I),
        dct("A=3 N=71 B=101", IV),
        half("N=60 A=350"),
        half("A=3 N=8000"),
    ];
    for a in reals {
        let x = real(a.input().unwrap(), 1);
        let error = distance(&apply_on(&device, &a, &x).unwrap(), &apply_f64(&a, &wide(&x)).unwrap());
        assert!(error <= TOLERANCE, "{} {}: {error:.2e}", a.op(), a.input().unwrap());
    }
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_line_beyond_one_binding_is_too_big() {
    let Some(device) = small_bindings() else { return };
    let a = linop::fft("A=2 N=16384", "N", FftOptions::default()).unwrap();
    let e = apply_on(&device, &a, &complex("A=2 N=16384", 1)).unwrap_err();
    assert!(matches!(e.root(), Error::TooBig { .. }), "{e}");
    assert!(e.to_string().contains("16384"), "{e}");
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn sums_beyond_one_binding() {
    let Some(device) = small_bindings() else { return };
    check(
        &device,
        vec![
            ("outer axis", linop::sum("A=300 B=101", "A").unwrap()),
            ("inner axis", linop::sum("A=101 B=300", "B").unwrap()),
            ("middle axis", linop::sum("A=31 B=40 C=29", "B").unwrap()),
            ("all axes", linop::sum("A=173 B=211", "A B").unwrap()),
            ("one prime axis", linop::sum("A=40009", "A").unwrap()),
            ("rows of one binding each", linop::sum("A=3 B=8192", "B").unwrap()),
        ],
    );
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn index_maps_beyond_one_binding() {
    let Some(device) = small_bindings() else { return };
    let r = |dims: &str, pattern: &str| linop::rearrange(dims, pattern, "").unwrap();
    check(
        &device,
        vec![
            ("transposed", r("A=173 B=211", "A B -> B A")),
            ("permuted", r("A=23 B=41 C=37", "A B C -> C A B")),
            ("permuted and merged", r("A=23 B=41 C=37", "A B C -> (C B) A")),
            ("flipped", linop::flip("A=173 B=211", "A").unwrap()),
            ("rolled, outer", linop::roll("A=173 B=211", &[("A", 57)]).unwrap()),
            ("rolled, inner", linop::roll("A=3 B=20011", &[("B", -999)]).unwrap()),
            ("padded", linop::pad("A=101 B=90", "A=160 B=133", Align::Center).unwrap()),
            ("downsampled", linop::downsample("A=211 B=173", &[("A", 3, 1)]).unwrap()),
            ("repeated", linop::repeat("A=90 B=70", "C=5").unwrap()),
            ("repeated, inner", linop::repeat_to("A=90 B=70", "C=5", "A B C").unwrap()),
        ],
    );
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn neighbours_beyond_one_binding() {
    let Some(device) = small_bindings() else { return };
    let (same, wide) = (ConvolveOptions::default(), ConvolveOptions::default().mode(ConvolveMode::Full));
    let around = same.boundary(Boundary::Circular);
    let (plane, volume) = (complex("Y=5 X=4", 1), real("Z=3 Y=2 X=3", 2));
    let layer = complex("O=2 I=3 Y=3 X=3", 3);
    let gradient = |border| linop::gradient("Y=173 X=211", "Y X", GradientOptions::default().border(border)).unwrap();
    let blocks = |dims: &str, axes: &[(&str, usize, usize)], out: &str| linop::blocks(dims, axes, out).unwrap();
    check(
        &device,
        vec![
            ("convolution", linop::convolve("Y=173 X=211", &plane, "Y X", wide).unwrap()),
            ("several", linop::convolve("C=5 Y=90 X=71", &plane, "Y X", same).unwrap()),
            ("circular", linop::convolve("Y=173 X=211", &plane, "Y X", around).unwrap()),
            ("strided", linop::convolve("Y=173 X=211", &plane, "Y X", same.stride(2)).unwrap()),
            ("in space", linop::convolve("Z=23 Y=31 X=37", &volume, "Z Y X", same).unwrap()),
            ("along a line", linop::convolve("X=30011", &complex("X=7", 4), "X", same).unwrap()),
            ("many channels", linop::convolve("I=5 Y=71 X=90", &complex("O=8 I=5 Y=3 X=3", 6), "Y X", same).unwrap()),
            ("channels", linop::convolve("I=3 Y=71 X=90", &layer, "Y X", same).unwrap()),
            ("of data", linop::convolve_kernel("Y=5 X=4", &complex("Y=90 X=80", 5), "Y X", same).unwrap()),
            ("gradient", gradient(Border::Neumann)),
            ("gradient, circular", gradient(Border::Circular)),
            ("gradient, zero", gradient(Border::Zero)),
            ("along a line, differences", linop::finite_difference("X=30011", "X", Border::Zero).unwrap()),
            ("patches", blocks("Y=173 X=111", &[("Y", 8, 4), ("X", 6, 5)], "Q P J I")),
            ("patches of a line", blocks("X=20011", &[("X", 9, 4)], "P I")),
            ("patches of lines", blocks("T=3 X=9001", &[("X", 64, 32)], "T P I")),
            ("patches apart", blocks("X=30011", &[("X", 3, 700)], "P I")),
        ],
    );
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn lists_beyond_one_binding() {
    let Some(device) = small_bindings() else { return };
    let at = |dims: &str, dim: &str, list: ndarray::ArrayD<i64>| {
        linop::sampling_at(dims, &[(dim, list)], if dims.contains(' ') { "B S" } else { "S" }).unwrap()
    };
    check(
        &device,
        vec![
            ("long list", at("A=500", "A", indices(&[40_000], 500, 1))),
            ("long list of a long axis", at("A=30011", "A", indices(&[40_000], 30_011, 2))),
            ("long axis, short list", at("A=30011", "A", indices(&[77], 30_011, 3))),
            ("batch", at("B=5 A=7001", "A", indices(&[9000], 7001, 4))),
            ("inner axis behind", at("A=301 B=60", "A", indices(&[450], 301, 5))),
            ("inner axis behind, long list", at("A=301 B=3", "A", indices(&[20_000], 301, 6))),
            ("one index only", at("A=301", "A", ndarray::ArrayD::from_elem(ndarray::IxDyn(&[33_000]), 300))),
            ("mask", linop::sampling("C=3 Y=110 X=90", &mask("Y=110 X=90", 0.4, 7), "C S").unwrap()),
        ],
    );
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn wavelets_beyond_one_binding() {
    use linop::{WaveletBoundary::*, WaveletOptions};
    let Some(device) = small_bindings() else { return };
    let w = |dims: &str, axes: &str, name: &str, boundary| {
        let o = WaveletOptions::default().wavelet(name.parse().unwrap()).levels(Some(2)).boundary(boundary);
        linop::wavelet(dims, axes, &o).unwrap()
    };
    check(
        &device,
        vec![
            ("long axis, zeros beyond", w("N=20011", "N", "db4", Zero)),
            ("long axis, periodic", w("N=20011", "N", "bior2.2", Periodization)),
            ("two axes, mirrored", w("Y=130 X=140", "Y X", "sym5", Symmetric)),
            ("three axes", w("Z=30 Y=31 X=26", "Z Y X", "db2", Zero)),
        ],
    );
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn weights_beyond_one_binding() {
    let Some(device) = small_bindings() else { return };
    let d = |dims: &str, w: &str| linop::diagonal(dims, &complex(w, 1)).unwrap();
    // The product between two transforms could overwrite the first one's result, but the weight, read across its rows,
    // takes several dispatches.
    let f = linop::fft("A=96 B=90", "A B", FftOptions::default()).unwrap().out("A B").unwrap();
    let between = &f * &d("A=96 B=90", "B=90 A=96") * &f;
    check(
        &device,
        vec![
            ("diagonal", d("A=211 B=90", "A=211 B=90")),
            ("diagonal, permuted", d("A=211 B=90", "B=90 A=211")),
            ("diagonal, coil sensitivities", d("Y=80 X=75", "C=5 Y=80 X=75")),
            ("two diagonals", d("A=211 B=90", "A=211 B=90") * d("A=211 B=90", "B=90 A=211")),
            ("between transforms", between),
            ("dense", linop::dense("N=190 T=3", &complex("M=120 N=190", 2), "M T").unwrap()),
            ("dense, transposed", linop::dense("N=190 T=3", &complex("N=190 M=120", 3), "T M").unwrap()),
            ("dense, x beyond it too", linop::dense("N=30 T=700", &complex("M=4 N=30", 4), "T M").unwrap()),
            ("dense, batch", linop::dense("B=40 N=20", &complex("B=40 M=30 N=20", 5), "B M").unwrap()),
        ],
    );
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn containers_beyond_one_binding() -> Result<()> {
    let Some(device) = small_bindings() else { return Ok(()) };
    let parts = |dims: &str| -> Result<Vec<Linop>> {
        Ok(vec![
            linop::diagonal(dims, &complex(dims, 1))?,
            linop::flip(dims, "A")?,
            linop::diagonal(dims, &real("B=90", 2))?,
        ])
    };
    let large = || parts("A=110 B=90");
    check(
        &device,
        vec![
            ("add", linop::add(large()?)?),
            ("concat, outer", linop::concat(large()?, None, Some("A"))?),
            ("concat, inner", linop::concat(large()?, None, Some("B"))?),
            ("concat, block diagonal", linop::concat(large()?, Some("B"), Some("A"))?),
            ("stack, outer", linop::stack(large()?, None, Some(("S", 0)))?),
            ("stack, middle", linop::stack(large()?, Some(("S", 1)), None)?),
            ("stack, inner", linop::stack(large()?, Some(("S", 2)), Some(("T", 2)))?),
        ],
    );
    Ok(())
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn projections_beyond_one_binding() -> Result<()> {
    let Some(device) = small_bindings() else { return Ok(()) };
    let angles = |n: usize| (0..n).map(|k| 0.37 * k as f64).collect::<Vec<f64>>();
    let fan = |n, detectors| Geometry::fan(&angles(n), detectors, 300.0, 100.0);
    let cone = Geometry::cone(&angles(17), 31, 41, 90.0, 30.0);
    let turn: Vec<f64> = (0..150).map(|k| f64::from(k) * std::f64::consts::PI / 75.0).collect();
    let scan = Geometry::cone(&turn[..], 9, 22, 60.0, 10.0);
    check(
        &device,
        vec![
            ("image, data and rays", linop::projection("Y=110 X=101", "Y X", &fan(90, 120), "A D")?),
            ("batch", linop::projection("C=11 Y=40 X=34", "Y X", &fan(40, 50), "C A D")?),
            ("many views of a few pixels", linop::projection("Y=9 X=8", "Y X", &fan(3000, 5), "A D")?),
            ("volume", linop::projection("Z=22 Y=24 X=26", "Z Y X", &cone, "A V U")?),
            (
                "sampled views",
                linop::fbp(
                    "A=1500 D=13",
                    "A D",
                    "Y=10 X=9",
                    &Geometry::parallel(&angles(1500), 13),
                    Default::default(),
                )?,
            ),
            (
                "samples of an image",
                linop::fbp(
                    "A=90 D=101",
                    "A D",
                    "Y=95 X=100",
                    &Geometry::parallel(&angles(90), 101),
                    Default::default(),
                )?,
            ),
            ("sampled panels", linop::fbp("A=150 V=9 U=22", "A V U", "Z=19 Y=23 X=21", &scan, Default::default())?),
            ("two that are stacked", {
                let a = linop::projection("Y=60 X=60", "Y X", &fan(60, 70), "A D")?;
                linop::stack(vec![a.clone(), -&a], None, Some(("T", 1)))?
            }),
        ],
    );
    Ok(())
}

/// A non-uniform transform at points that fill the image, and as many again in its centre.
fn nufft(dims: &str, axes: &str, count: usize) -> Linop {
    let names: Vec<&str> = axes.split(' ').collect();
    let extent =
        |d: &str| dims.split(&format!("{d}=")).nth(1).unwrap().split(' ').next().unwrap().parse::<f64>().unwrap();
    let steps = [0.754_877_666_246_693, 0.569_840_290_998_053, 0.438_579_119_310_345];
    let locs = ndarray::ArrayD::from_shape_fn(ndarray::IxDyn(&[2 * count, names.len()]), |i| {
        let k = ((i[0] as f64 * steps[i[1]]).fract() - 0.5) * extent(names[i[1]]);
        if i[0] < count { k } else { 0.05 * k }
    });
    let accuracy = linop::Accuracy::Kernel { width: 4.0, oversamp: 1.5 };
    linop::nufft(dims, &locs, axes, linop::NufftOptions::default().accuracy(accuracy).toeplitz(Some(false)), "C K")
        .unwrap()
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn point_sets_beyond_one_binding() {
    for shape in [linops::internal::KernelShape::Gpu, linops::internal::KernelShape::Cpu] {
        let options = GpuOptions::default().max_binding(Some(SMALL)).shape(Some(shape));
        let Some(device) = gpu_with(options) else { return };
        check(
            &device,
            vec![
                // Records, footprints and partial sums each take many bindings.
                ("plane", nufft("C=3 Y=40 X=36", "Y X", 5000)),
                ("plane beyond one binding", nufft("C=2 Y=90 X=80", "Y X", 2000)),
                ("volume", nufft("C=2 Z=12 Y=10 X=14", "Z Y X", 1500)),
                ("line", nufft("C=9 X=300", "X", 4000)),
            ],
        );
    }
}

/// Linops of all kinds of kernel, of moderate size.
fn samples() -> Vec<(&'static str, Linop)> {
    let f = linop::fft("C=3 Y=40 X=34", "Y X", FftOptions::default().centered(true)).unwrap();
    let f = f.out("C Y X").unwrap();
    let sense = linop::sampling("C=3 Y=40 X=34", &mask("Y=40 X=34", 0.4, 1), "C S").unwrap()
        * &f
        * linop::diagonal("Y=40 X=34", &complex("C=3 Y=40 X=34", 2)).unwrap();
    vec![
        ("SENSE", sense),
        ("Bluestein", linop::fft("A=9 N=101", "N", FftOptions::default()).unwrap()),
        ("inner sum", linop::sum("A=70 B=301", "B").unwrap()),
        ("outer sum", linop::sum("A=301 B=70", "A").unwrap()),
        ("sum of all", linop::sum("A=301 B=70", "A B").unwrap()),
        ("transposed", linop::rearrange("A=173 B=211", "A B -> B A", "").unwrap()),
        ("NUFFT", nufft("C=3 Y=20 X=18", "Y X", 1000)),
        ("repeats", linop::sampling_at("A=50", &[("A", indices(&[7000], 50, 3))], "S").unwrap()),
        ("dense", linop::dense("N=90 T=7", &complex("M=40 N=90", 4), "M T").unwrap()),
        ("projection", {
            let angles: Vec<f64> = (0..45).map(|k| 0.14 * f64::from(k)).collect();
            linop::projection("C=5 Y=40 X=37", "Y X", &Geometry::fan(&angles, 50, 70.0, 9.0), "C A D").unwrap()
        }),
        ("add", linop::flip("A=90 B=70", "A").unwrap() + linop::roll("A=90 B=70", &[("B", 3)]).unwrap()),
    ]
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn groups_are_folded_into_two_dimensions() {
    let options = GpuOptions::default().max_groups(Some(7));
    let Some(device) = gpu_with(options) else { return };
    // 7 by 7 groups of 256 results are all that one dispatch may have.
    let fits: Vec<_> = samples().into_iter().filter(|(_, a)| a.input().unwrap().len() <= 49 * 256).collect();
    assert!(fits.len() >= 5);
    check(&device, fits);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn default_limits_are_enough() {
    let options = GpuOptions::default().default_limits(true);
    let Some(device) = gpu_with(options) else { return };
    check(&device, samples());
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn checked_kernels_give_the_same_bits() {
    for max_binding in [None, Some(SMALL)] {
        let options = |checked| GpuOptions::default().checked(checked).max_binding(max_binding);
        let (Some(checked), Some(trusted)) = (gpu_with(options(true)), gpu_with(options(false))) else { return };
        for (name, a) in samples() {
            for op in [a.clone(), a.h()] {
                let x: Tensor = complex(op.input().unwrap(), 5);
                let run = |d: &Device| bits(&apply_on(d, &op, &x).unwrap());
                assert!(run(&checked) == run(&trusted), "{name}");
            }
        }
    }
}
