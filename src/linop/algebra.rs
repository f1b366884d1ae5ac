//! `*`, `+`, `-` and scalars as Rust operators. They cannot return a `Result`, so a mismatch makes a linop that carries the
//! error with the place in the caller's source.

use super::{Linop, add_weighted, chain, scalar};
use crate::error::{Error, Result};
use num_complex::Complex32;
use std::ops::{Add, Mul, Neg, Sub};
use std::panic::Location;

impl Linop {
    /// `self` after `first`, with the mismatch returned at once.
    pub fn compose(&self, first: &Linop) -> Result<Linop> {
        // Products of products are one chain: however many are multiplied, nothing nests.
        let mut parts = parts(first, "chain");
        parts.extend(self::parts(self, "chain"));
        chain(parts)
    }

    /// `self + other`, with the mismatch returned at once.
    pub fn try_add(&self, other: &Linop) -> Result<Linop> {
        let mut terms = parts(self, "add");
        // The right side stays whole: a sum is a left fold.
        terms.push(other.clone());
        super::add(terms)
    }

    /// `c·A`.
    pub fn scaled(&self, c: impl Into<Complex32>) -> Result<Linop> {
        let mut parts = parts(self, "chain");
        parts.push(scalar(self.output()?, c)?);
        chain(parts)
    }
}

/// The linops inside a container that says nothing of its own, else the linop itself.
fn parts(l: &Linop, op: &str) -> Vec<Linop> {
    let Ok(node) = l.node() else { return vec![l.clone()] };
    let children = node.operator.children();
    let plain_settings = node.operator.settings().is_none_or(|s| *s == Default::default());
    // Renamed outputs are said by the container alone.
    let same_output = children.last().is_some_and(|c| c.output().is_ok_and(|o| *o == node.output));
    match node.operator.op() == op && node.name.is_none() && plain_settings && same_output {
        true => children.to_vec(),
        false => vec![l.clone()],
    }
}

#[track_caller]
fn or_failed(r: Result<Linop>) -> Linop {
    let place = Location::caller();
    // An operand that failed before keeps its own place.
    r.unwrap_or_else(|e| match &e {
        Error::At { at, .. } if at.contains(".rs:") => Linop::failed(e),
        _ => Linop::failed(e.at(place.to_string())),
    })
}

macro_rules! binary {
    ($trait:ident, $method:ident, $f:expr) => {
        impl $trait<&Linop> for &Linop {
            type Output = Linop;
            #[track_caller]
            fn $method(self, other: &Linop) -> Linop {
                let f: fn(&Linop, &Linop) -> Result<Linop> = $f;
                or_failed(f(self, other))
            }
        }
        impl $trait<Linop> for Linop {
            type Output = Linop;
            #[track_caller]
            fn $method(self, other: Linop) -> Linop {
                (&self).$method(&other)
            }
        }
        impl $trait<&Linop> for Linop {
            type Output = Linop;
            #[track_caller]
            fn $method(self, other: &Linop) -> Linop {
                (&self).$method(other)
            }
        }
        impl $trait<Linop> for &Linop {
            type Output = Linop;
            #[track_caller]
            fn $method(self, other: Linop) -> Linop {
                self.$method(&other)
            }
        }
    };
}

binary!(Mul, mul, |a, b| a.compose(b));
binary!(Add, add, |a, b| a.try_add(b));
binary!(Sub, sub, |a, b| add_weighted(vec![a.clone(), b.clone()], &[1.0.into(), (-1.0).into()]));

macro_rules! scalar_product {
    ($t:ty) => {
        impl Mul<Linop> for $t {
            type Output = Linop;
            #[track_caller]
            fn mul(self, a: Linop) -> Linop {
                or_failed(a.scaled(self))
            }
        }
        impl Mul<&Linop> for $t {
            type Output = Linop;
            #[track_caller]
            fn mul(self, a: &Linop) -> Linop {
                or_failed(a.scaled(self))
            }
        }
        impl Mul<$t> for Linop {
            type Output = Linop;
            #[track_caller]
            fn mul(self, c: $t) -> Linop {
                or_failed(self.scaled(c))
            }
        }
        impl Mul<$t> for &Linop {
            type Output = Linop;
            #[track_caller]
            fn mul(self, c: $t) -> Linop {
                or_failed(self.scaled(c))
            }
        }
    };
}

scalar_product!(f32);
scalar_product!(Complex32);

impl Neg for Linop {
    type Output = Linop;
    #[track_caller]
    fn neg(self) -> Linop {
        or_failed(self.scaled(-1.0))
    }
}

impl Neg for &Linop {
    type Output = Linop;
    #[track_caller]
    fn neg(self) -> Linop {
        or_failed(self.scaled(-1.0))
    }
}
