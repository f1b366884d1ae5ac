//! Linop files as a format: the page that describes them, and linops written as files and read again.
#![cfg(feature = "io")]

mod common;

use common::data::{complex, indices, real};
use linops::explain::Target;
use linops::io::{Array, FileOp, Output, SaveOptions, linop_files_page, write_npy};
use linops::linop::{self, Align, FftOptions, InterpolateOptions, InterpolationKernel, Operator};
use linops::program::{Builder, ThreadSettings, ValueId};
use linops::{DType, Device, Linop, Result, Shape, Tensor};
use num_complex::Complex32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Compares a text with a file of the repository, or with `INSTA_UPDATE=always` puts it there.
fn expect_file(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var("INSTA_UPDATE").is_ok_and(|v| v == "always") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "{} is not what the code says; INSTA_UPDATE=always writes it anew", path.display());
}

#[test]
fn the_page_is_what_the_code_says() {
    expect_file("docs/linop-files.md", &linop_files_page());
}

/// What README says of each op, found out on its example: whether plans can be made, whether the normal is simplified to less
/// than forward and adjoint one after the other, and whether real tensors stay real.
fn table() -> Result<String> {
    let mut rows = "| linop | is | forward | adjoint | shorter normal | host | GPU | real stays real |\n".to_string();
    rows += "|---|---|---|---|---|---|---|---|\n";
    for op in FileOp::all() {
        let examples = op.examples.iter().map(|text| Linop::from_json(text, "")).collect::<Result<Vec<_>>>()?;
        let mark = |yes: bool| if yes { "yes" } else { "–" };
        let (host, gpu) = (Device::host(), Target::poorest());
        let planned = |a: &Linop| {
            let on_gpu = a.plan_for(&gpu, DType::Complex32).is_ok();
            [a.plan(&host, DType::Complex32).is_ok(), on_gpu]
        };
        let sides = examples.iter().map(|a| [planned(a), planned(&a.h())]);
        let sides = sides.reduce(|a, b| [0, 1].map(|i| [0, 1].map(|k| a[i][k] && b[i][k]))).unwrap();
        let real =
            |a: &Linop| -> Result<bool> { Ok(a.apply(&Tensor::zeros(a.input()?, DType::F32)?)?.dtype() == DType::F32) };
        let mut cells = vec![mark(sides[0][0]), mark(sides[1][0])];
        // Of a container that depends on what is inside.
        cells.push(match op.is_container() {
            true => "by its linops",
            false => mark(examples.iter().map(shorter_normal).collect::<Result<Vec<_>>>()?.contains(&true)),
        });
        cells.extend([mark(sides[0][0] && sides[1][0]), mark(sides[0][1] && sides[1][1])]);
        cells.push(match op.is_container() {
            true => "by its linops",
            // The first example of an op is real, where it may be.
            false => mark(real(&examples[0])?),
        });
        rows += &format!("| `{}` | {} | {} |\n", op.name, op.summary, cells.join(" | "));
    }
    Ok(rows)
}

/// Whether the normal is less than the forward and the adjoint one after the other, or nothing at all.
fn shorter_normal(a: &Linop) -> Result<bool> {
    let nodes = |a: &Linop| -> Result<Vec<String>> { Ok(a.program()?.nodes().iter().map(|n| n.describe()).collect()) };
    let normal = nodes(&a.n())?;
    Ok(normal.is_empty() || normal != [nodes(a)?, nodes(&a.h())?].concat())
}

#[test]
fn the_table_of_linops_is_what_the_code_does() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (before, rest) = readme.split_once("<!-- linops -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of linops -->").unwrap();
    let table = table().unwrap();
    expect_file("README.md", &format!("{before}<!-- linops -->\n{table}<!-- end of linops -->{after}"));
}

/// The texts between ```json and ```.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```json\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

fn array(folder: &Path, name: &str, tensor: &Tensor) {
    let output = Output::create(folder.join(name), &["npy"], false).unwrap();
    write_npy(output, &Array::C32(tensor.to_array().unwrap())).unwrap();
}

#[test]
fn examples_of_the_page_load_and_apply() {
    let folder = tempfile::tempdir().unwrap();
    array(folder.path(), "maps.npy", &complex("C=2 Ny=230 Nx=180", 1));
    array(folder.path(), "mask.npy", &real("Ky=230 Kx=180", 2));
    let page = linop_files_page();
    let examples = blocks(&page);
    assert!(examples.len() > FileOp::all().len());
    for text in examples {
        let file = folder.path().join("linop.json");
        std::fs::write(&file, text).unwrap();
        let linop = Linop::from_file(&file).unwrap_or_else(|e| panic!("{e}\n{text}"));
        for a in [linop.clone(), linop.h(), linop.n()] {
            let y = a.apply(&complex(a.input().unwrap(), 3)).unwrap_or_else(|e| panic!("{e}\n{text}"));
            assert_eq!(y.shape(), a.output().unwrap());
        }
    }
}

/// Bits of A x and of Aᴴ y, for complex inputs and for a real one.
fn bits(a: &Linop) -> Vec<Vec<(u32, u32)>> {
    let of = |a: &Linop, x: &Tensor| common::bits(&a.apply(x).unwrap().to_array().unwrap());
    let (input, output) = (a.input().unwrap(), a.output().unwrap());
    vec![of(a, &complex(input, 1)), of(a, &real(input, 2)), of(&a.h(), &complex(output, 3))]
}

/// Checks that two linops compute the same bits, and, with `alike`, that they show the same tree.
fn expect_same(name: &str, a: &Linop, b: &Linop, alike: bool) {
    assert_eq!((a.input().unwrap(), a.output().unwrap()), (b.input().unwrap(), b.output().unwrap()), "{name}");
    assert_eq!(a.settings(), b.settings(), "{name}");
    if alike {
        assert_eq!(a.to_string(), b.to_string(), "{name}");
    }
    assert!(bits(a) == bits(b), "{name}: {a}\n{b}");
}

fn through_text(name: &str, a: &Linop) -> Linop {
    let text = a.to_json().unwrap_or_else(|e| panic!("{name}: {e}"));
    Linop::from_json(&text, "nowhere").unwrap_or_else(|e| panic!("{name}: {e}\n{text}"))
}

#[test]
fn every_linop_is_read_as_it_was_written() {
    for case in common::catalogue::cases() {
        let (a, name) = (&case.linop, case.name.as_str());
        expect_same(name, a, &through_text(name, a), true);
        let folder = tempfile::tempdir().unwrap();
        let files = a.save(folder.path().join("all"), SaveOptions::default()).unwrap();
        expect_same(name, a, &Linop::from_file(&files[0]).unwrap(), true);
        // Written once more it is the same text.
        let again = through_text(name, a).to_json().unwrap();
        assert_eq!(again, a.to_json().unwrap(), "{name}");
    }
}

#[test]
fn every_conformance_vector_is_read_as_it_was_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let cases: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path().join("linop.json")).collect();
    assert!(cases.len() > 100);
    for file in cases.iter().filter(|f| f.is_file()) {
        let (a, name) = (Linop::from_file(file).unwrap(), file.display().to_string());
        expect_same(&name, &a, &through_text(&name, &a), true);
    }
}

#[test]
fn what_was_renamed_named_and_set_stays_so() -> Result<()> {
    let turned = |a: Linop, out: &str, input: &str| -> Result<Linop> { Ok(a.out(out)?.h().out(input)?.h()) };
    let fft = || linop::fft("C=2 N=4", "N", FftOptions::default());
    let spline = InterpolateOptions::default().width(vec![2.0]).kernel(InterpolationKernel::Spline { order: 1 });
    let locs = ndarray::arr2(&[[0.5], [2.0], [3.25]]).into_dyn();
    let maps = complex("C=2 N=4", 1);
    let settings = ThreadSettings { threaded: false, num_workers: Some(2) };
    let two = || -> Result<Vec<Linop>> { Ok(vec![fft()?, fft()?.named("second")]) };
    let alike = [
        ("sum to a scalar", linop::sum("A=2 B=3", "A B")?),
        ("from a scalar", linop::sum("A=2 B=3", "A B")?.h()),
        ("zero to a scalar", linop::zero("A=2", "")?),
        ("chain", linop::chain(vec![fft()?, linop::scalar("C=2 N1=4", 2.0)?])?.out("A B")?.named("all")),
        ("names", linop::add(two()?)?.named("sum").out("A B")?),
        ("settings", linop::stack(two()?, None, Some(("D", 1)))?.with_settings(settings.clone())),
        ("settings of an adjoint", linop::concat(two()?, Some("C"), None)?.with_settings(settings.clone()).h()),
        ("normal of a normal", linop::chain(vec![fft()?])?.n().n().out("A B")?),
        ("-0", linop::scalar("A=2", Complex32::new(2.0, -0.0))?),
    ];
    for (name, a) in alike {
        expect_same(name, &a, &through_text(name, &a), true);
    }
    // What files have no field for stands in linops around, or in others: the same numbers. Trees tell of old names besides.
    let other = [
        ("leaf", turned(fft()?, "A B", "D E")?),
        ("leaf, swapped", turned(fft()?, "N C", "N C")?),
        ("flip", turned(linop::flip("A=2 B=3", "B")?, "P Q", "B A")?),
        ("slice", turned(linop::slice("A=5", &[("A", 1..4)])?, "B", "C")?),
        ("crop", turned(linop::crop("A=5 B=3", "A=2", Align::Start)?, "B A", "B A")?),
        ("sampling", turned(linop::sampling_at("A=3 B=4", &[("B", indices(&[5], 4, 1))], "A S")?, "S A", "S T")?),
        ("interpolate", turned(linop::interpolate("C=2 N=5", &locs, "N", &spline, "C S")?, "N C", "X Y")?),
        ("gridding", turned(linop::gridding("C=2 S=3", &locs, "N=5", &spline)?, "A B", "N C")?),
        ("chain, both sides", turned(linop::chain(vec![fft()?])?, "A B", "D E")?.named("it")),
        ("add, both sides", turned(linop::add(two()?)?.with_settings(settings), "A B", "D E")?),
        ("normal", turned(fft()?.n(), "A B", "D E")?),
        ("within", linop::add(vec![turned(linop::chain(vec![fft()?])?, "A B", "D E")?])?),
        ("diagonal, new dims", turned(linop::diagonal("N=4", &maps)?, "N C", "C")?),
        ("diagonal, permuted", linop::diagonal_to("C=2 N=4", &complex("N=4", 2), "N C")?.out("A B")?),
        ("repeat", turned(linop::repeat_to("A=2 B=3", "C=2 D=2", "D A C B")?, "A B C D", "C D")?),
        ("dense", turned(linop::dense("N=4 T=3", &complex("C=2 N=4 K=2", 3), "C T")?, "N K", "C K")?),
        ("dense, swapped", linop::dense("N=4 T=3", &complex("N=4 T=3", 4), "T N")?.out("N T")?),
    ];
    for (name, a) in other {
        expect_same(name, &a, &through_text(name, &a), false);
    }
    Ok(())
}

#[test]
fn arrays_lie_beside_once() {
    let folder = tempfile::tempdir().unwrap();
    let (w, v) = (complex("C=3 N=4", 1), real("N=4", 2));
    let a = linop::diagonal("N=4", &w).unwrap();
    let b = linop::diagonal("N=4", &v).unwrap();
    let all = linop::chain(vec![b.clone(), a.clone(), a.h(), b]).unwrap();
    let names = |files: Vec<PathBuf>| -> Vec<String> {
        files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    let beside = all.save(folder.path().join("deep/er"), SaveOptions::default()).unwrap();
    assert_eq!(names(beside), ["linop.json", "weight.npy", "weight-1.npy"]);
    let file = folder.path().join("a.json");
    assert_eq!(names(all.save(&file, SaveOptions::default()).unwrap()), ["a.json", "a-weight.npy", "a-weight-1.npy"]);
    expect_same("beside", &all, &Linop::from_file(&file).unwrap(), true);
    let again = all.save(&file, SaveOptions::default()).unwrap_err().to_string();
    assert!(again.contains("--force") || again.contains("exists"), "{again}");
    assert_eq!(all.save(&file, SaveOptions::default().embed(true).force(true)).unwrap().len(), 1);
    expect_same("embedded", &all, &Linop::from_file(&file).unwrap(), true);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), all.to_json().unwrap());
}

#[test]
fn what_cannot_be_saved_says_so() {
    #[derive(Debug)]
    struct Own;
    impl Operator for Own {
        fn op(&self) -> &'static str {
            "own"
        }
        fn forward(&self, _: &mut Builder, x: ValueId) -> Result<ValueId> {
            Ok(x)
        }
    }
    let shape: Shape = "N=3".parse().unwrap();
    let own = Linop::new(shape.clone(), shape, Arc::new(Own)).named("mine");
    let sum = linop::add(vec![linop::identity("N=3").unwrap(), own]).unwrap();
    let told = sum.to_json().unwrap_err().to_string();
    assert!(told.starts_with("add: linops[1]: mine: an operator own that does not say how it is saved"), "{told}");
    let folder = tempfile::tempdir().unwrap();
    assert!(sum.save(folder.path().join("x"), SaveOptions::default()).is_err() && !folder.path().join("x").exists());
    let nan = Tensor::from_array(ndarray::array![1.0f32, f32::NAN], "N").unwrap();
    let told = linop::diagonal("N=2", &nan).unwrap().to_json().unwrap_err().to_string();
    assert!(told.starts_with("weight: an array holds NaN"), "{told}");
    let deep = (0..60).fold(linop::identity("N=2").unwrap(), |a, _| linop::chain(vec![a]).unwrap());
    assert!(deep.to_json().unwrap_err().to_string().contains("at most"));
}
