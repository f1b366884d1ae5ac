//! What makes linops quick to write: names that stay, ranges, lists and shapes in any form, tensors from anybody's arrays, and
//! messages that say what to do.

mod common;

use common::data::{complex, real};
use common::{bits, devices};
use linops::linop::{self, Align, FftOptions, NufftOptions, Operator, Stretch, Threads};
use linops::ndarray::{Array1, Array2, array, s};
use linops::num_complex::{Complex32, Complex64};
use linops::program::{Builder, ValueId};
use linops::{DType, Device, Dim, Linop, Result, Shape, Tensor, ThreadedApply};
use std::sync::Arc;

fn output(a: Result<Linop>) -> String {
    a.unwrap().output().unwrap().to_string()
}

fn message<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => panic!("expected an error"),
        Err(e) => e.to_string(),
    }
}

#[test]
fn every_linop_that_renames_dims_can_keep_them() {
    let x = "C=2 Ny=10 Nx=9";
    let inverse = FftOptions::default().inverse(true);
    for (a, want) in [
        (linop::fft(x, "Ny Nx", FftOptions::default()), x),
        (linop::pad(x, "Nx=12 Ny=11", Align::Center), "C=2 Ny=11 Nx=12"),
        (linop::crop(x, "Nx=4", Align::Start), "C=2 Ny=10 Nx=4"),
        (linop::slice(x, &[("Ny", 2..7)]), "C=2 Ny=5 Nx=9"),
        (linop::embed(x, &[("C", (1, 5, 3))], "C=5"), "C=5 Ny=10 Nx=9"),
        (linop::downsample(x, &[("Nx", 2, 1)]), "C=2 Ny=10 Nx=4"),
        (linop::upsample(x, &[("Nx", 2, 0)], "Nx=18"), "C=2 Ny=10 Nx=18"),
        (linop::flip(x, "C"), x),
    ] {
        let a = a.unwrap();
        assert_eq!(a.keep().output().unwrap().to_string(), want, "{a}");
        assert_eq!(output(a.out("...")), want, "{a}");
        // Names are all that changes.
        let v = complex(x, 1);
        let values = |a: &Linop| bits(&a.apply(&v).unwrap().to_array().unwrap());
        assert_eq!(values(&a), values(&a.keep()), "{a}");
        assert_eq!(a.keep().h().output().unwrap().to_string(), x);
    }
    // A transform and its inverse need no name in between.
    let f = linop::fft(x, "Ny Nx", FftOptions::default()).unwrap().keep();
    let back = linop::fft(f.output().unwrap(), "Ny Nx", inverse).unwrap().keep() * &f;
    assert_eq!(back.output().unwrap(), back.input().unwrap());
    // So does a chain as a whole, and a container.
    let f = linop::fft(x, "Ny Nx", FftOptions::default()).unwrap();
    let chain = linop::fft(f.output().unwrap(), "Ny1 Nx1", inverse).unwrap() * f;
    assert_eq!(chain.output().unwrap().to_string(), "C=2 Ny2=10 Nx2=9");
    assert_eq!((chain.keep().output().unwrap().to_string(), chain.keep().op()), (x.into(), "chain"));
    let slice = |range| linop::slice(x, &[("Nx", range)]).unwrap();
    let joined = linop::concat([slice(0..3), slice(5..9)], None, Some("Nx1")).unwrap();
    assert_eq!(joined.keep().output().unwrap().to_string(), "C=2 Ny=10 Nx=7");
    // An error stays one.
    assert!((linop::flip("N=3", "N").unwrap() * linop::flip("M=3", "M").unwrap()).keep().check().is_err());
}

#[test]
fn out_names_some_and_leaves_others() {
    let f = linop::fft("C=2 Ny=4 Nx=6", "Ny Nx", FftOptions::default()).unwrap();
    assert_eq!(output(f.out("C Ky Kx")), "C=2 Ky=4 Kx=6");
    assert_eq!(output(f.out("... Kx")), "C=2 Ny=4 Kx=6");
    assert_eq!(output(f.out("T ...")), "T=2 Ny=4 Nx=6");
    assert_eq!(output(f.out("() Ky ()")), "C=2 Ky=4 Nx=6");
    assert_eq!(output(f.out("... A B C")), "A=2 B=4 C=6");
    assert_eq!(output(f.out(["C", "Ky", "Kx=6"])), "C=2 Ky=4 Kx=6");
    assert_eq!(output(f.out(f.input().unwrap())), "C=2 Ny=4 Nx=6");
    for (out, part) in [
        ("C Ky", "\"C Ky\" names 2 dims, expected 3: C=2 Ny=4 Nx=6"),
        ("A B C D", "names 4 dims, expected 3"),
        ("... A B C D", "names 4 dims, expected 3"),
        ("Nx ...", "dim Nx stands twice"),
        ("C Ky Kx=7", "dim Kx has extent 6, expected 7"),
        ("(1) Ky Kx", "expected a name, () or ..."),
    ] {
        assert!(message(f.out(out)).contains(part), "{out}: {}", message(f.out(out)));
    }
    let locs = ndarray::arr2(&[[0.5, 1.0], [2.0, -1.0], [0.0, 0.0]]).into_dyn();
    let n = linop::nufft("C=2 Ny=4 Nx=6", &locs, ["Ny", "Nx"], NufftOptions::default(), "... S");
    assert_eq!(output(n), "C=2 S=3");
    let n = linop::nufft("C=2 Ny=4 Nx=6", &locs, "Ny Nx", NufftOptions::default(), "...");
    assert_eq!(message(n), "nufft: out: ... in \"...\" stands for an axis of extent 3 that has no name; name it");
}

#[test]
fn dims_are_text_or_lists() {
    let dims: Vec<Dim> = linops::dim::parse_dims("Ny Nx").unwrap();
    let x: Shape = "C=2 Ny=4 Nx=6".parse().unwrap();
    let names: &[&str; 2] = &["Ny", "Nx"];
    let details = [
        linop::sum(&x, "Ny Nx"),
        linop::sum(&x, String::from("Ny Nx")),
        linop::sum(&x, ["Ny", "Nx"]),
        linop::sum(&x, ["Ny", "Nx"]),
        linop::sum(&x, vec!["Ny".to_string(), "Nx".into()]),
        linop::sum(&x, &dims),
        linop::sum(&x, names),
        linop::sum(&x, &dims[..]),
        linop::sum(&x, [dims[0], dims[1]]),
        linop::sum(&x, "Ny=4 Nx=6".parse::<Shape>().unwrap()),
    ]
    .map(|a| a.unwrap().to_string());
    assert!(details.iter().all(|d| *d == "sum (Ny Nx): C=2 Ny=4 Nx=6 -> C=2"), "{details:?}");
    assert_eq!(output(linop::flip(&x, dims[0])), "C=2 Ny=4 Nx=6");
    assert!(message(linop::sum(&x, "Ny=4")).contains("expected names alone"));
    assert!(message(linop::sum(&x, "...")).contains("wildcard"));
    assert!(message(linop::sum(&x, ["Ny", "Ny"])).contains("dim Ny stands twice"));
    // Wherever axes are named.
    let both = ["Ny", "Nx"];
    let kernel = Tensor::from_array(ndarray::arr2(&[[1f32, 2.0, 1.0]]), "Ny Nx").unwrap();
    let same = [
        (linop::gradient(&x, both, Default::default()), linop::gradient(&x, "Ny Nx", Default::default())),
        (linop::dct(&x, both, Default::default()), linop::dct(&x, "Ny Nx", Default::default())),
        (linop::rfft(&x, both, Default::default()), linop::rfft(&x, "Ny Nx", Default::default())),
        (linop::wavelet(&x, both, &Default::default()), linop::wavelet(&x, "Ny Nx", &Default::default())),
        (linop::moveaxis(&x, ["Nx"], 0), linop::moveaxis(&x, "Nx", 0)),
        (
            linop::convolve(&x, &kernel, both, Default::default()),
            linop::convolve(&x, &kernel, "Ny Nx", Default::default()),
        ),
    ];
    for (list, text) in same {
        assert_eq!(list.unwrap().to_string(), text.unwrap().to_string());
    }
    assert!(message(linop::dct(&x, ["Ny", "Ny"], Default::default())).contains("dct"));
    assert!(message(linop::sum(&x, [""])).contains("no dims are named"));
}

#[test]
fn ranges_are_written_in_any_form() {
    let x = "Ny=10 Nx=9";
    let n = 7;
    for (a, want) in [
        (linop::slice(x, &[("Ny", 2..7), ("Nx", 0..9)]), "Ny=5 Nx=9"),
        (linop::slice(x, &[("Ny", 2..n), ("Nx", 0..n)]), "Ny=5 Nx=7"),
        (linop::slice(x, &[("Ny", ..5)]), "Ny=5 Nx=9"),
        (linop::slice(x, &[("Ny", 3..)]), "Ny=7 Nx=9"),
        (linop::slice(x, &[("Ny", ..)]), "Ny=10 Nx=9"),
        (linop::slice(x, &[("Ny", 2..=7)]), "Ny=6 Nx=9"),
        (linop::slice(x, &[("Ny", ..=7)]), "Ny=8 Nx=9"),
        (linop::slice(x, &[("Ny", (1, 10, 4))]), "Ny=3 Nx=9"),
        (linop::slice(x, &[("Ny", (1, 10))]), "Ny=9 Nx=9"),
        (linop::slice(x, &[("Ny", "1..:4"), ("Nx", "..2")]), "Ny=3 Nx=2"),
        (linop::slice(x, &[("Ny", Stretch::from(1..3)), ("Nx", (..2).into())]), "Ny=2 Nx=2"),
        (linop::embed(x, &[("Ny", 2..12)], "Ny=20"), "Ny=20 Nx=9"),
    ] {
        assert_eq!(a.unwrap().keep().output().unwrap().to_string(), want);
    }
    assert!(message(linop::slice(x, &[("Ny", 2..11)])).contains("does not fit extent 10"));
    assert!(message(linop::slice(x, &[("Ny", 2..=usize::MAX)])).contains("does not fit extent 10"));
    assert!(message(linop::slice(x, &[("Ny", "2:7")])).contains("slice: dim Ny: \"2:7\" is no range"));
}

#[test]
fn lists_of_linops_are_taken_in_any_form() {
    let (a, b) = (linop::flip("N=8", "N").unwrap(), linop::roll("N=8", &[("N", 3)]).unwrap());
    let list = vec![a.clone(), b.clone()];
    let borrowed: &[&Linop; 2] = &[&a, &b];
    for sum in [
        linop::add(borrowed),
        linop::add(&borrowed[..]),
        linop::add([&a, &b]),
        linop::add([&a, &b]),
        linop::add([a.clone(), b.clone()]),
        linop::add(&[a.clone(), b.clone()]),
        linop::add(&list),
        linop::add(&list[..]),
        linop::add(list.iter().rev()),
        linop::add(list.iter().map(|l| l.h())),
        linop::add(list.clone()),
        linop::chain([&a, &b]),
        linop::concat(&list, None, Some("N")),
        linop::stack(list.iter(), None, Some(("S", 0))),
        linop::add_weighted(&list, &[1.0, -1.0]),
        linop::add_weighted(&list, &[Complex32::i(), 1.0.into()]),
    ] {
        assert_eq!(sum.unwrap().children().len(), 2);
    }
    let none: Vec<Linop> = Vec::new();
    for (e, op) in [
        (message(linop::add(&none)), "add"),
        (message(linop::add([] as [Linop; 0])), "add"),
        (message(linop::chain(&none)), "chain"),
        (message(linop::concat(&none, None, Some("N"))), "concat"),
        (message(linop::stack(&none, None, Some(("N", 0)))), "stack"),
        (message(linop::add_weighted(&none, &[] as &[f32])), "add"),
    ] {
        assert_eq!(e, format!("{op}: needs at least one linop"));
    }
    let x = complex("N=8", 1);
    let y = Threads::new(&list).threaded_apply(&[x.clone(), x]).unwrap();
    assert_eq!(y.len(), 2);
}

#[derive(Debug)]
struct Twice;

impl Operator for Twice {
    fn op(&self) -> &'static str {
        "twice"
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        b.scale(x, 2.0.into())
    }
}

#[test]
fn shapes_are_text_or_lists() {
    let n = 4;
    let list: &[(&str, usize)] = &[("Ny", n), ("Nx", 6)];
    for a in [
        linop::identity(list).unwrap(),
        linop::identity("Ny=4 Nx=6").unwrap(),
        linop::identity([("Ny", n), ("Nx", 6)]).unwrap(),
        linop::identity([("Ny", n), ("Nx", 6)]).unwrap(),
        linop::identity(vec![("Ny", n), ("Nx", 6)]).unwrap(),
        Linop::new("Ny=4 Nx=6", [("Ny", 4), ("Nx", 6)], Arc::new(Twice)),
    ] {
        assert_eq!(a.output().unwrap().to_string(), "Ny=4 Nx=6");
    }
    assert!(message(linop::identity([("Ny", 0)])).contains("dim Ny has extent 0"));
    assert!(message(linop::identity([("Ny", 1), ("Ny", 2)])).contains("twice"));
    assert_eq!(output(linop::rearrange("Ny=4 Nx=6", "Ny Nx -> Nx Ny", [])), "Nx=6 Ny=4");
    let broken = Linop::new("Ny", "Ny=4", Arc::new(Twice));
    assert!(message(broken.check()).contains("no extent"));
}

#[test]
fn tensors_are_made_from_what_people_have() {
    let shape = "Ny=2 Nx=3";
    let want: Vec<f32> = vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    let wide: Vec<f64> = want.iter().map(|&v| v.into()).collect();
    let ints: Vec<i64> = (0..6).collect();
    let array = Array2::from_shape_vec((2, 3), want.clone()).unwrap();
    for t in [
        Tensor::from_slice(shape, &want),
        Tensor::from_slice(shape, &wide),
        Tensor::from_slice(shape, &ints),
        Tensor::from_slice([("Ny", 2), ("Nx", 3)], &[0u8, 1, 2, 3, 4, 5]),
        Tensor::from_vec(shape, want.clone()),
        Tensor::from_vec(shape, wide.clone()),
        Tensor::from_array(array.clone(), shape),
        Tensor::from_array(array.view(), "Ny Nx"),
        Tensor::from_array(array.mapv(f64::from), ["Ny", "Nx"]),
        Tensor::from_array(array.clone().into_shared(), "Ny Nx"),
        Tensor::from_array(array.mapv(|v| v as usize), "Ny Nx"),
        Tensor::from_array(array.slice(s![.., ..;-1]).slice(s![.., ..;-1]), "Ny Nx"),
        Tensor::from_array(array.t(), "Nx Ny").and_then(|t| t.permuted("Ny Nx")),
    ] {
        let t = t.unwrap();
        assert_eq!((t.shape().to_string(), t.dtype()), (shape.into(), DType::F32));
        assert_eq!(t.to_real_vec().unwrap(), want);
        let back: Array2<f32> = (&t).try_into().unwrap();
        assert_eq!(back, array);
        assert_eq!(Vec::<f32>::try_from(&t).unwrap(), want);
        assert_eq!(Vec::<Complex32>::try_from(&t).unwrap(), want.iter().map(Complex32::from).collect::<Vec<_>>());
    }
    let z = Tensor::from_slice("N=2", &[Complex64::new(0.1, -1.0), Complex64::i()]).unwrap();
    assert_eq!(z.to_vec().unwrap(), [Complex32::new(0.1, -1.0), Complex32::i()]);
    assert_eq!(Tensor::from_slice("N=2", &[true, false]).unwrap().to_real_vec().unwrap(), [1.0, 0.0]);
    assert_eq!(Tensor::from_slice("", &[0.1]).unwrap().to_real_vec().unwrap(), [0.1]);
    let odd = Tensor::from_slice("N=3", &[f64::NAN, f64::NEG_INFINITY, 1e-60]).unwrap().to_real_vec().unwrap();
    assert!(odd[0].is_nan() && odd[1] == f32::NEG_INFINITY && odd[2] == 0.0);
    // An array of 32-bit numbers is taken as it is.
    let start = want.as_ptr();
    match Tensor::from_vec(shape, want).unwrap().host_array() {
        Some(linops::HostArray::F32(a)) => assert_eq!(a.as_ptr(), start),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_makes_no_tensor_is_said() {
    for (e, part) in [
        (message(Tensor::from_slice("Ny=2 Nx=3", &[0.0; 5])), "5 values for the shape Ny=2 Nx=3, which has 6"),
        (message(Tensor::from_vec("N=2", vec![1.0, -1e39])), "value 1 in C order is -1e39"),
        (message(Tensor::from_slice("N=1", &[Complex64::new(0.0, 1e300)])), "value 0 in C order is"),
        (message(Tensor::from_array(array![1e60, 1.0], "N")), "scale the values"),
        (message(Tensor::from_array(array![[1.0f32]], "N")), "\"N\" names 1 dim, expected 2 of extents [1, 1]"),
        (message(Tensor::from_array(array![[1.0f32]], "Ny=2 Nx=1")), "dim Ny has extent 1, expected 2"),
        (message(Tensor::from_array(array![[1.0f32]], "... Nx")), "an axis of extent 1 that has no name"),
        (message(Tensor::from_array(array![[1.0f32]], "Ny,Nx")), "no commas"),
    ] {
        assert!(e.contains(part), "{e}");
    }
    let z = Tensor::from_slice("A=2 B=1", &[Complex32::i(); 2]).unwrap();
    assert!(message(z.to_real_vec()).contains(".real()?, .imag()? or .abs()?"));
    assert!(
        message(Array1::<Complex32>::try_from(&z))
            .contains("an array of 1 axes was asked for, the tensor A=2 B=1 has 2")
    );
    assert_eq!(z.renamed("... C").unwrap().shape().to_string(), "A=2 C=1");
    assert_eq!(z.permuted(["B", "A"]).unwrap().shape().to_string(), "B=1 A=2");
}

#[test]
fn dtypes_are_converted_where_the_values_are() {
    let x = real("A=5 B=3", 1);
    let z = complex("A=5 B=3", 2);
    for device in devices() {
        let (x, z) = (x.to(&device).unwrap(), z.to(&device).unwrap());
        let host = |t: Result<Tensor>| {
            let t = t.unwrap();
            assert_eq!(t.device_name(), device.name());
            t.to(&Device::host()).unwrap()
        };
        let wide = host(x.to_dtype(DType::Complex32));
        assert_eq!((wide.dtype(), wide.to_vec().unwrap()), (DType::Complex32, host(Ok(x.clone())).to_vec().unwrap()));
        assert_eq!(host(x.to_dtype(DType::F32)).dtype(), DType::F32);
        let values = host(z.to_dtype(DType::Complex32)).to_vec().unwrap();
        let of = |f: fn(&Complex32) -> f32| values.iter().map(f).collect::<Vec<_>>();
        assert_eq!(host(z.real()).to_real_vec().unwrap(), of(|z| z.re));
        assert_eq!(host(z.imag()).to_real_vec().unwrap(), of(|z| z.im));
        let magnitudes = host(z.abs()).to_real_vec().unwrap();
        assert!(magnitudes.iter().zip(of(|z| z.norm())).all(|(m, want)| (m - want).abs() <= 1e-6 * want));
        assert_eq!(host(x.imag()).to_real_vec().unwrap(), [0.0; 15]);
        assert!(host(x.abs()).to_real_vec().unwrap().iter().all(|v| *v >= 0.0));
        assert!(message(z.to_dtype(DType::F32)).contains("say what of it by .real(), .imag() or .abs()"));
    }
}

#[test]
fn what_is_shown_for_debugging_is_a_line() {
    for device in devices() {
        let x = real("Ny=4 Nx=6", 1).to(&device).unwrap();
        assert_eq!(format!("{x:?}"), format!("Tensor(Ny=4 Nx=6 float32 on {})", device.name()));
        assert_eq!(format!("{device:?}"), format!("Device({})", device.name()));
        for text in [format!("{x:?}"), format!("{x:#?}"), format!("{device:#?}"), format!("{:?}", x.host_array())] {
            assert!(text.len() < 200 && !text.contains('\n'), "{text}");
        }
        #[cfg(feature = "gpu")]
        assert!(format!("{:?} {:?}", device.as_gpu(), x.device_buffer()).len() < 300);
    }
    let e = linop::chain([linop::flip("N=4", "N").unwrap(), linop::flip("M=4", "M").unwrap()]).unwrap_err();
    assert_eq!(format!("{e:?}"), e.to_string());
}

#[test]
fn tensors_show_their_first_and_last_values() {
    let x = Tensor::from_slice("Ny=2 Nx=2", &[0.5, 1.0, 1.5, -2.0]).unwrap();
    assert_eq!(x.to_string(), "Ny=2 Nx=2 float32 on host\n[[0.5, 1],\n [1.5, -2]]");
    assert_eq!(format!("{x:.1}"), "Ny=2 Nx=2 float32 on host\n[[0.5, 1.0],\n [1.5, -2.0]]");
    let z = Tensor::from_slice("N=2", &[Complex32::new(1.0, -2.5), Complex32::i()]).unwrap();
    assert_eq!(z.to_string(), "N=2 complex64 on host\n[1-2.5i, 0+1i]");
    let many = Tensor::from_vec("N=1000", (0..1000).collect()).unwrap();
    assert_eq!(many.to_string(), "N=1000 float32 on host\n[0, 1, 2, 3, 4, ..., 995, 996, 997, 998, 999]");
    assert!(format!("{many:#}").contains(" 500,"));
    for device in devices().into_iter().filter(|d| !d.is_host()) {
        let text = many.to(&device).unwrap().to_string();
        assert_eq!(text, format!("N=1000 float32 on {device} (.to(&Device::host())? shows the values)"));
    }
}

/// The commonest slips, and that the message says what to do.
#[test]
fn slips_are_told_with_the_way_out() {
    let fft = || linop::fft("Y=4 X=6", "Y X", FftOptions::default()).unwrap();
    let weight = linop::diagonal("Y=4 X=6", &real("Y=4 X=6", 1)).unwrap();
    let e = message((&weight * fft()).check());
    assert!(
        e.contains("the dims are called \"Y1=4 X1=6\", expected \"Y=4 X=6\"") && e.contains(".out(\"Y X\")"),
        "{e}"
    );
    assert!((&weight * fft().keep()).check().is_ok());
    for (x, part) in [
        ("X=6 Y=4", "put a rearrange by \"X Y -> Y X\" between, or give the tensor as .permuted(\"Y X\")"),
        ("T=3 Y=4 X=6", "dim T is too many"),
        ("X=6", "dim Y is missing: the dims are \"X=6\", expected \"Y=4 X=6\""),
        ("Y=4 X=7", "dim X has extent 7, expected 6"),
        ("A=4 B=6", "a tensor's with .renamed(\"Y X\")"),
    ] {
        let e = message(weight.input().unwrap().expect(&x.parse().unwrap()));
        assert!(e.contains(part), "{e}");
    }
    let e = message(linop::sum(fft().output().unwrap(), "Y"));
    assert!(e.contains("dim Y is not in \"Y1 X1\", perhaps Y1 is meant"), "{e}");
    for (shape, part) in [
        ("Y=4, X=6", "dims have blanks between them, no commas"),
        ("Y = 4", "without blanks around ="),
        ("Y X", "\"Y\" in \"Y X\" has no extent; expected a form like Ny=256"),
    ] {
        let e = message(linop::identity(shape));
        assert!(e.contains(part), "{e}");
    }
    assert!(message(linop::flip("Y=4 X=6", "Y,X")).contains("no commas"));
}

#[test]
#[cfg(feature = "io")]
fn linop_files_keep_names_too() {
    let folder = tempfile::tempdir().unwrap();
    let read = |out: &str| {
        let path = folder.path().join("a.json");
        let fft = |inverse, out: &str| {
            format!(r#"{{ "op": "fft", "axes": ["Ny", "Nx"], "inverse": {inverse}, "out": "{out}" }}"#)
        };
        let both = [fft(false, "..."), fft(true, out)].join(", ");
        std::fs::write(&path, format!(r#"{{ "op": "chain", "in": "C=2 Ny=4 Nx=6", "linops": [{both}] }}"#)).unwrap();
        Linop::from_file(path)
    };
    assert_eq!(output(read("...")), "C=2 Ny=4 Nx=6");
    assert_eq!(output(read("T ...")), "T=2 Ny=4 Nx=6");
    let e = message(read("... A B C D"));
    assert!(e.contains("linops[1].out: fft: \"... A B C D\" names 4 dims, expected 3: C=2 Ny=4 Nx=6"), "{e}");
}
