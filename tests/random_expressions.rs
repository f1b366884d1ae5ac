//! Random linop expressions: well-formed ones obey the laws, ill-formed ones give errors that name the dim, and broken
//! linop files never panic.

mod common;

use common::data::{complex, inner, mask, norm, real, wide, widened};
use common::{apply_on, gpu};
use linops::linop::{self, Align, FftOptions, Norm};
use linops::{Device, Linop, Shape, Tensor, apply_f64};
use ndarray::ArrayD;
use num_complex::{Complex32, Complex64};
use proptest::prelude::*;
use proptest::sample::Index;

/// How an expression is made: a tree of choices, each of which is resolved where the shape is known.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(Index, u64),
    Chain(Vec<Tree>),
    Add(Vec<Tree>),
    ConcatOut(Vec<Tree>),
    StackOut(Vec<Tree>, Index),
    BlockDiagonal(Vec<Tree>, Index),
    Normal(Box<Tree>),
    AdjointTwice(Box<Tree>),
    Scaled(Box<Tree>, f32, f32),
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = (any::<Index>(), any::<u64>()).prop_map(|(i, seed)| Tree::Leaf(i, seed));
    leaf.prop_recursive(4, 10, 3, |t| {
        let several = || prop::collection::vec(t.clone(), 1..4);
        let one = || t.clone().prop_map(Box::new);
        prop_oneof![
            3 => several().prop_map(Tree::Chain),
            1 => several().prop_map(Tree::Add),
            1 => several().prop_map(Tree::ConcatOut),
            1 => (several(), any::<Index>()).prop_map(|(t, i)| Tree::StackOut(t, i)),
            1 => (several(), any::<Index>()).prop_map(|(t, i)| Tree::BlockDiagonal(t, i)),
            1 => one().prop_map(Tree::Normal),
            1 => one().prop_map(Tree::AdjointTwice),
            1 => (one(), -2.0f32..2.0, -2.0f32..2.0).prop_map(|(t, a, b)| Tree::Scaled(t, a, b)),
        ]
    })
}

fn inputs() -> impl Strategy<Value = Shape> {
    prop::sample::select(vec!["A=4", "A=1", "A=3 B=2", "A=2 B=5", "A=3 B=1 C=2", "A=2 B=3 C=2"])
        .prop_map(|s| s.parse().unwrap())
}

/// Tensors stay small, whatever is repeated and stacked.
const LARGEST: usize = 600;

/// A linop that takes this shape.
fn leaf(shape: &Shape, choice: &Index, seed: u64) -> linops::Result<Linop> {
    let Some(&dim) = shape.dims().get(seed as usize % shape.rank().max(1)) else { return linop::scalar(shape, -0.5) };
    let (name, n) = (dim.to_string(), shape.size(dim).unwrap_or(1));
    let (one, same) = (format!("{name}={n}"), shape.dims().iter().map(|d| format!("{d} ")).collect::<String>());
    let fft = |inverse, centered, norm| {
        linop::fft(shape, &name, FftOptions::default().centered(centered).norm(norm).inverse(inverse))
    };
    Ok(match choice.index(18) {
        0 => linop::identity(shape)?,
        1 => linop::diagonal(shape, &complex(shape, seed))?,
        2 => linop::diagonal(shape, &real(&one, seed))?,
        3 => linop::diagonal(shape, &complex(format!("{}=2 {one}", dim.next_unused(shape.dims())), seed))?,
        4 => fft(false, true, Norm::Ortho)?,
        5 => fft(true, false, Norm::Backward)?,
        6 => fft(false, false, Norm::Ortho)?.out(&same)?,
        7 => linop::pad(shape, format!("{name}={}", n + 1 + seed as usize % 3), Align::Center)?,
        8 => linop::crop(shape, format!("{name}={}", n.div_ceil(2)), Align::Center)?,
        9 => linop::flip(shape, &name)?,
        10 => linop::roll(shape, &[(&name, seed as i64 % 7)])?,
        11 => linop::downsample(shape, &[(&name, 2, seed as usize % n.min(2))])?,
        12 => linop::sum(shape, &name)?,
        13 => linop::repeat(shape, format!("{}=2", dim.next_unused(shape.dims())))?,
        14 => {
            let out = shape.dims().iter().filter(|d| **d != dim).map(|d| format!("{d} ")).collect::<String>();
            linop::sampling(shape, &mask(&one, 0.6, seed), format!("{out}{}", dim.next_unused(shape.dims())))?
        }
        15 => {
            let new = dim.next_unused(shape.dims()).to_string();
            let out = same
                .split(' ')
                .map(|d| if d == name { format!("{new} ") } else { format!("{d} ") })
                .collect::<String>();
            linop::dense(shape, &complex(format!("{new}=3 {one}"), seed), &out)?
        }
        16 => {
            let turned = shape.dims().iter().rev().map(|d| format!("{d} ")).collect::<String>();
            linop::rearrange(shape, &format!("{same} -> {turned}"), "")?
        }
        _ => linop::zero(shape, shape)?,
    })
}

/// A linop for this shape; parts that would not fit are left out. With it, the same linop made of its children applied one
/// by one, as a function: what the simplified program must compute.
fn build(tree: &Tree, shape: &Shape) -> linops::Result<(Linop, Steps)> {
    let several = |trees: &[Tree]| trees.iter().map(|t| build(t, shape)).collect::<linops::Result<Vec<_>>>();
    let first = |trees: &[Tree]| build(&trees[0], shape);
    Ok(match tree {
        Tree::Leaf(choice, seed) => {
            let a = leaf(shape, choice, *seed)?;
            let a = if a.output()?.len() > LARGEST { linop::identity(shape)? } else { a };
            (a.clone(), Steps::Leaf(a))
        }
        Tree::Chain(trees) => {
            let (mut at, mut linops, mut steps) = (shape.clone(), Vec::new(), Vec::new());
            for t in trees {
                let (a, s) = build(t, &at)?;
                at = a.output()?.clone();
                linops.push(a);
                steps.push(s);
            }
            (linop::chain(linops)?, Steps::Chain(steps))
        }
        Tree::Add(trees) => {
            let mut parts = several(trees)?;
            let output = parts[0].0.output()?.clone();
            parts.retain(|(a, _)| a.output().is_ok_and(|o| *o == output));
            let (linops, steps): (Vec<_>, _) = parts.into_iter().unzip();
            (linop::add(linops)?, Steps::Add(steps))
        }
        // Copies of one linop, as shapes of several random ones seldom match.
        Tree::ConcatOut(trees) => {
            let (a, s) = first(trees)?;
            let Some(&dim) = a.output()?.dims().first() else { return Ok((a, s)) };
            let twice = vec![a.clone(), -&a];
            (linop::concat(twice, None, Some(&dim.to_string()))?, Steps::Pair(Box::new(s), Join::Along))
        }
        Tree::StackOut(trees, at) => {
            let (a, s) = first(trees)?;
            let (position, dim) = (at.index(a.output()?.rank() + 1), unused(a.output()?));
            (
                linop::stack(vec![a.clone(), -&a], None, Some((&dim, position)))?,
                Steps::Pair(Box::new(s), Join::New(position)),
            )
        }
        Tree::BlockDiagonal(trees, at) => {
            let (a, s) = first(trees)?;
            let (position, dim) = (at.index(a.output()?.rank() + 1), unused(a.output()?));
            let repeated = linop::repeat(shape, format!("{}=2", unused(shape)))?;
            let blocks = linop::stack(vec![a.clone(), -&a], Some((&unused(shape), 0)), Some((&dim, position)))?;
            (blocks.compose(&repeated)?, Steps::Pair(Box::new(s), Join::New(position)))
        }
        Tree::Normal(t) => {
            let (a, s) = build(t, shape)?;
            (a.n(), Steps::Chain(vec![s, Steps::Leaf(a.h())]))
        }
        Tree::AdjointTwice(t) => {
            let (a, s) = build(t, shape)?;
            (a.h().h(), s)
        }
        Tree::Scaled(t, re, im) => {
            let (a, s) = build(t, shape)?;
            let c = Complex32::new(*re, *im);
            (c * &a, Steps::Chain(vec![s, Steps::Leaf(linop::scalar(a.output()?, c)?)]))
        }
    })
}

fn unused(shape: &Shape) -> String {
    let s: linops::Dim = "S".parse().unwrap();
    if shape.axis(s).is_none() { "S".into() } else { s.next_unused(shape.dims()).to_string() }
}

/// An expression applied piece by piece, so that no simplification reaches across pieces.
#[derive(Clone, Debug)]
enum Steps {
    Leaf(Linop),
    Chain(Vec<Steps>),
    Add(Vec<Steps>),
    /// y and -y side by side.
    Pair(Box<Steps>, Join),
}

#[derive(Clone, Copy, Debug)]
enum Join {
    /// Along the first axis.
    Along,
    /// Along a new axis at this position.
    New(usize),
}

impl Steps {
    fn apply(&self, x: &ArrayD<Complex64>) -> ArrayD<Complex64> {
        match self {
            Steps::Leaf(a) => apply_f64(a, x).unwrap(),
            Steps::Chain(all) => all.iter().fold(x.clone(), |x, s| s.apply(&x)),
            Steps::Add(all) => {
                let first = all[0].apply(x);
                all[1..].iter().fold(first, |sum, s| sum + s.apply(x))
            }
            Steps::Pair(s, at) => {
                let y = s.apply(x);
                let views = [y.view(), y.view()];
                let (axis, joined) = match *at {
                    Join::Along => (ndarray::Axis(0), ndarray::concatenate(ndarray::Axis(0), &views)),
                    Join::New(k) => (ndarray::Axis(k), ndarray::stack(ndarray::Axis(k), &views)),
                };
                let mut pair = joined.unwrap();
                let half = pair.len_of(axis) / 2;
                pair.slice_axis_mut(axis, (half..).into()).mapv_inplace(|v| -v);
                pair
            }
        }
    }
}

fn expression() -> impl Strategy<Value = (Linop, Steps)> {
    (trees(), inputs()).prop_filter_map("too large", |(t, shape)| {
        let (a, s) = build(&t, &shape).unwrap_or_else(|e| panic!("{t:?} of {shape}: {e}"));
        (a.output().unwrap().len() <= 4 * LARGEST).then_some((a, s))
    })
}

/// ‖got - want‖ against the size that rounding errors have: that of the result, or of the input where much cancels.
fn close(got: &ArrayD<Complex64>, want: &ArrayD<Complex64>, x: &ArrayD<Complex64>, limit: f64) -> bool {
    got.shape() == want.shape() && norm(&(got - want)) <= limit * norm(want).max(norm(x))
}

fn on_host(a: &Linop, x: &Tensor) -> ArrayD<Complex64> {
    widened(&apply_on(&Device::host(), a, x).unwrap())
}

/// So many cases, ten times as many with `LINOPS_FULL=1`. A failure prints the whole expression, so no seeds are kept in
/// files.
fn config(cases: u32) -> ProptestConfig {
    let cases = if common::full() { 10 * cases } else { cases };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn simplified_expressions_compute_what_their_parts_do((a, steps) in expression()) {
        let x = complex(a.input().unwrap(), 1);
        let want = steps.apply(&wide(&x));
        prop_assert!(close(&apply_f64(&a, &wide(&x)).unwrap(), &want, &wide(&x), 1e-5), "f64\n{a}\n{}", a.program().unwrap());
        prop_assert!(close(&on_host(&a, &x), &want, &wide(&x), 1e-5), "f32\n{a}\n{}", a.program().unwrap());
    }

    #[test]
    fn adjoints_are_adjoint((a, _) in expression()) {
        let (x, u) = (complex(a.input().unwrap(), 2), complex(a.output().unwrap(), 3));
        let (ax, ahu) = (on_host(&a, &x), on_host(&a.h(), &u));
        let (x, u) = (wide(&x), wide(&u));
        let error = (inner(&ax, &u) - inner(&x, &ahu)).norm();
        // Terms may cancel to nothing but their rounding.
        let size = (norm(&ax) * norm(&u)).max(norm(&x) * norm(&ahu)).max(0.1 * norm(&x) * norm(&u));
        prop_assert!(error <= 1e-5 * size, "{error}\n{a}");
    }

    #[test]
    fn adjoint_and_product_change_places((a, _) in expression(), choice in any::<Index>(), seed in any::<u64>()) {
        let b = leaf(a.output().unwrap(), &choice, seed).unwrap();
        let u = complex(b.output().unwrap(), 4);
        let (product, swapped) = ((&b * &a).h(), a.h() * b.h());
        prop_assert_eq!(product.input().unwrap(), swapped.input().unwrap());
        prop_assert!(close(&on_host(&product, &u), &on_host(&swapped, &u), &wide(&u), 1e-5), "{a}\n{b}");
        prop_assert_eq!(a.h().h().to_string(), a.to_string());
    }

    #[test]
    fn simplifying_ends_and_transposing_twice_is_nothing((a, _) in expression()) {
        let p = a.program().unwrap();
        prop_assert_eq!(p.simplify().unwrap().to_string(), p.to_string());
        let back = p.transpose().unwrap().transpose().unwrap().simplify().unwrap();
        prop_assert_eq!(back.input_extents(), p.input_extents());
        prop_assert_eq!(back.output_extents(), p.output_extents());
    }

    #[test]
    fn a_mismatch_is_an_error_that_names_the_dim((a, _) in expression(), wrong in 1usize..9) {
        let shape = a.input().unwrap();
        let Some((dim, n)) = shape.iter().next() else { return Ok(()) };
        // The first dim has another extent, then another name.
        let rest: String = shape.iter().skip(1).map(|(d, n)| format!(" {d}={n}")).collect();
        let extent = if wrong == n { wrong + 1 } else { wrong };
        for (other, named) in [(format!("{dim}={extent}{rest}"), dim.to_string()), (format!("Wrong={n}{rest}"), "Wrong".into())] {
            let b = linop::identity(&other).unwrap();
            let product = &a * &b;
            let error = product.apply(&complex(shape, 1)).unwrap_err().to_string();
            prop_assert!(error.contains(&named) && error.contains(".rs:"), "{error}");
            prop_assert!(product.check().is_err() && product.h().n().input().is_err());
            let same_output = a.n();
            prop_assert!((&same_output + &b).check().is_err());
            prop_assert!(linop::chain(vec![b.clone(), a.clone()]).is_err());
            prop_assert!(linop::stack(vec![same_output, b], None, Some(("T", 0))).is_err());
            let error = a.apply(&complex(&other, 1)).unwrap_err().to_string();
            prop_assert!(error.contains(&named), "{error}");
        }
    }

    #[test]
    fn constructors_refuse_what_does_not_fit(shape in inputs(), dim in "[A-E][a-z]?[0-9]{0,2}", n in 0usize..9, f in 0usize..5, s in 0usize..9) {
        // Any of these may fit or not; none may panic, and what is made must be usable.
        let one = format!("{dim}={n}");
        let range = linop::Stretch { start: Some(s), stop: Some(n), step: Some(f) };
        let made = [
            linop::pad(&shape, &one, Align::Center),
            linop::crop(&shape, &one, Align::Start),
            linop::slice(&shape, &[(&dim, range)]),
            linop::embed(&shape, &[(&dim, range)], &one),
            linop::downsample(&shape, &[(&dim, f, s)]),
            linop::upsample(&shape, &[(&dim, f, s)], &one),
            linop::fft(&shape, &dim, FftOptions::default()),
            linop::wavelet(&shape, &dim, &linop::WaveletOptions::default().levels(Some(f))),
            linop::sum(&shape, &dim),
            linop::flip(&shape, format!("{dim} {dim}")),
            linop::roll(&shape, &[(&dim, s as i64 - 4), (&dim, i64::MIN)]),
            linop::repeat(&shape, &one),
            linop::rearrange(&shape, &format!("({dim} A) B -> B {dim} A"), &one),
            linop::identity(&one),
            linop::zero(&shape, &one),
        ];
        for a in made.into_iter().flatten() {
            let x = complex(a.input().unwrap(), 1);
            prop_assert!(a.apply(&x).is_ok() && a.n().apply(&x).is_ok(), "{a}");
        }
    }
}

/// Kernels of a fresh expression are compiled first, which takes most of the time.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_gpu_agrees_with_the_host() {
    let Some(device) = gpu() else { return };
    proptest!(config(40), |((a, _) in expression())| {
        for op in [a.clone(), a.h()] {
            let x = complex(op.input().unwrap(), 5);
            let got = widened(&apply_on(&device, &op, &x).unwrap());
            prop_assert!(close(&got, &on_host(&op, &x), &wide(&x), 1e-5), "{a}");
        }
    });
}

/// Linop files of all kinds of op, to break.
#[cfg(feature = "io")]
fn files() -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut all: Vec<_> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path().join("linop.json")).collect();
    all.sort();
    all.iter().filter_map(|p| std::fs::read_to_string(p).ok()).filter(|t| t.len() < 4000).collect()
}

#[test]
#[cfg(feature = "io")]
fn broken_linop_files_never_panic() {
    let (files, folder) = (files(), tempfile::tempdir().unwrap());
    assert!(files.len() > 50);
    let path = folder.path().join("linop.json");
    // Bytes that mean something in JSON and in shapes, so that many texts stay readable.
    let pieces =
        ["\"", "{", "}", "[", "]", ":", ",", "0", "-", "9", "1e9", "null", "=", " ", "A", "...", "()", "\\u0000", "é"];
    let edits = prop::collection::vec((any::<Index>(), any::<Index>(), 0usize..4), 1..6);
    proptest!(config(500), |(which in any::<Index>(), edits in edits)| {
        let mut text: Vec<char> = which.get(&files).chars().collect();
        for (at, piece, kind) in edits {
            let at = at.index(text.len().max(1));
            match kind {
                0 if !text.is_empty() => drop(text.remove(at)),
                1 => text.truncate(text.len() - at.min(3)),
                2 if at < text.len() => drop(text.splice(at..=at, piece.get(&pieces).chars())),
                _ => drop(text.splice(at..at, piece.get(&pieces).chars())),
            }
        }
        std::fs::write(&path, text.iter().collect::<String>()).unwrap();
        match Linop::from_file(&path) {
            Ok(a) => prop_assert!(a.check().is_ok()),
            Err(e) => prop_assert!(e.to_string().contains("linop.json"), "{e}"),
        }
    });
}
