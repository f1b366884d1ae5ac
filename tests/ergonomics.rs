//! What makes linops quick to write: names that stay, ranges, lists and shapes in any form, tensors from anybody's arrays, and
//! messages that say what to do.

mod common;

use common::bits;
use common::data::complex;
use linops::linop::{self, Align, FftOptions, NufftOptions, Operator, Stretch};
use linops::program::{Builder, ValueId};
use linops::{Dim, Linop, Result, Shape, ThreadedApply, linop::Threads};
use num_complex::Complex32;
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
    let details = [
        linop::sum(&x, "Ny Nx"),
        linop::sum(&x, String::from("Ny Nx")),
        linop::sum(&x, ["Ny", "Nx"]),
        linop::sum(&x, &["Ny", "Nx"]),
        linop::sum(&x, vec!["Ny".to_string(), "Nx".into()]),
        linop::sum(&x, &dims),
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
        (linop::slice(x, &vec![("Ny", Stretch::from(1..3)), ("Nx", (..2).into())]), "Ny=2 Nx=2"),
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
    for sum in [
        linop::add([&a, &b]),
        linop::add(&[&a, &b]),
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
    for a in [
        linop::identity("Ny=4 Nx=6").unwrap(),
        linop::identity([("Ny", n), ("Nx", 6)]).unwrap(),
        linop::identity(&[("Ny", n), ("Nx", 6)]).unwrap(),
        linop::identity(vec![("Ny", n), ("Nx", 6)]).unwrap(),
        Linop::new("Ny=4 Nx=6", [("Ny", 4), ("Nx", 6)], Arc::new(Twice)),
    ] {
        assert_eq!(a.output().unwrap().to_string(), "Ny=4 Nx=6");
    }
    assert!(message(linop::identity([("Ny", 0)])).contains("dim Ny has extent 0"));
    assert!(message(linop::identity([("Ny", 1), ("Ny", 2)])).contains("twice"));
    assert_eq!(output(linop::rearrange("Ny=4 Nx=6", "Ny Nx -> Nx Ny", &[])), "Nx=6 Ny=4");
    let broken = Linop::new("Ny", "Ny=4", Arc::new(Twice));
    assert!(message(broken.check()).contains("no extent"));
}
