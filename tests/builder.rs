//! What an operator of a user's own may not say to the builder: each is an error of the apply, none a panic or wrong values.

mod common;

use common::devices;
use linops::linop::Operator;
use linops::program::{AxisMap, Builder, Constant, ConstantData, Contract, IndexList, MapAxis, ValueId};
use linops::{DType, Linop, Result, Tensor};
use num_complex::Complex64;
use std::fmt;
use std::sync::{Arc, Mutex};

type Forward = dyn Fn(&mut Builder, ValueId) -> Result<ValueId> + Send + Sync;

struct Own(Box<Forward>);

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("own")
    }
}

impl Operator for Own {
    fn op(&self) -> &'static str {
        "own"
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        (self.0)(b, x)
    }
}

fn own(
    input: &str,
    output: &str,
    f: impl Fn(&mut Builder, ValueId) -> Result<ValueId> + Send + Sync + 'static,
) -> Linop {
    Linop::new(input, output, Arc::new(Own(Box::new(f))))
}

fn ones(extents: &[usize]) -> Constant {
    let len = extents.iter().product();
    Constant::new(extents.to_vec(), ConstantData::F32(vec![1.0; len])).unwrap()
}

fn contract(w: &[u32], x: &[u32], y: &[u32], extents: &[usize]) -> Contract {
    Contract { weight: ones(extents), conj: false, w: w.to_vec(), x: x.to_vec(), y: y.to_vec() }
}

/// A value of another linop's builder.
fn foreign() -> ValueId {
    static VALUE: Mutex<Option<ValueId>> = Mutex::new(None);
    let other = own("A=3 B=3", "A=3 B=3", |b, x| {
        let mut v = x;
        for _ in 0..40 {
            v = b.scale(v, Complex64::new(2.0, 0.0))?;
        }
        *VALUE.lock().unwrap() = Some(v);
        Ok(v)
    });
    other.program().unwrap();
    VALUE.lock().unwrap().unwrap()
}

#[test]
fn what_cannot_be_meant_is_an_error() {
    let cases: Vec<(&str, Box<Forward>)> = vec![
        ("a label twice in x", Box::new(|b, x| b.contract(x, contract(&[0], &[0, 0], &[0], &[3])))),
        ("a label twice in y", Box::new(|b, x| b.contract(x, contract(&[0], &[0, 1], &[1, 1], &[3])))),
        ("a label twice in w", Box::new(|b, x| b.contract(x, contract(&[0, 0], &[0, 1], &[0, 1], &[3, 3])))),
        ("a label of y from nowhere", Box::new(|b, x| b.contract(x, contract(&[0], &[0, 1], &[0, 7], &[3])))),
        ("fewer labels than axes", Box::new(|b, x| b.contract(x, contract(&[0], &[0], &[0], &[3])))),
        ("a weight of another extent", Box::new(|b, x| b.contract(x, contract(&[0], &[0, 1], &[0, 1], &[4])))),
        ("no elements", Box::new(|b, _| b.zero(vec![3, 0]))),
        ("more elements than can be counted", Box::new(|b, _| b.zero(vec![1 << 40, 1 << 40]))),
        ("repeated no times", Box::new(|b, x| b.repeat(x, &[(0, 0)]))),
        ("repeated behind the last axis", Box::new(|b, x| b.repeat(x, &[(9, 2)]))),
        ("repeated too often", Box::new(|b, x| b.repeat(x, &[(0, 1 << 40), (0, 1 << 40)]))),
        ("summed over an axis that is not there", Box::new(|b, x| b.sum(x, &[2]))),
        ("summed over an axis twice", Box::new(|b, x| b.sum(x, &[0, 0]))),
        ("axes that are no permutation", Box::new(|b, x| b.permute(x, &[0, 0]))),
        ("too few axes", Box::new(|b, x| b.permute(x, &[0]))),
        ("reshaped to another length", Box::new(|b, x| b.reshape(x, vec![8]))),
        ("a map along an axis that is not there", Box::new(|b, x| b.map_axis(x, 5, AxisMap::identity(3), 3))),
        (
            "a map of an axis twice",
            Box::new(|b, x| {
                let axes = vec![MapAxis::From(0, AxisMap::identity(3)), MapAxis::From(0, AxisMap::identity(3))];
                b.map(x, axes, vec![3, 3])
            }),
        ),
        ("a weight along an axis that is not there", Box::new(|b, x| b.mul(x, ones(&[3]), vec![4], false))),
        ("a factor that is no number", Box::new(|b, x| b.scale(x, Complex64::new(f64::NAN, 0.0)))),
        ("nothing to add", Box::new(|b, _| b.add(&[]))),
        (
            "summands of other extents",
            Box::new(|b, x| {
                let y = b.sum(x, &[0])?;
                b.add(&[x, y])
            }),
        ),
        ("a value of another builder, scaled", Box::new(|b, _| b.scale(foreign(), Complex64::new(2.0, 0.0)))),
        ("a value of another builder, added", Box::new(|b, x| b.add(&[x, foreign()]))),
        ("a value of another builder, mapped", Box::new(|b, _| b.permute(foreign(), &[1, 0]))),
        ("a value of another builder, given", Box::new(|_, _| Ok(foreign()))),
        ("an axis to gather that is not there", Box::new(|b, x| b.gather(x, 3, IndexList::new(vec![0, 1], 3)?))),
        ("other extents than it says", Box::new(|b, x| b.sum(x, &[0]))),
    ];
    let x = Tensor::zeros("A=3 B=3", DType::Complex32).unwrap();
    for (name, f) in cases {
        let a = own("A=3 B=3", "A=3 B=3", f);
        for device in devices() {
            let x = x.to(&device).unwrap();
            let e = a.apply(&x).expect_err(name).to_string();
            assert!(!e.contains("panicked"), "{name}: {e}");
            assert!(a.n().apply(&x).is_err() && a.h().apply(&x).is_err(), "{name}");
        }
    }
}

#[test]
fn an_operator_that_panics_is_an_error() {
    let a = own("A=3", "A=3", |_, _| panic!("on purpose"));
    let e = a.apply(&Tensor::zeros("A=3", DType::F32).unwrap()).unwrap_err().to_string();
    assert!(e.contains("panicked") && e.contains("on purpose"), "{e}");
}
