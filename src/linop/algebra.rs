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
        chain(vec![first.clone(), self.clone()])
    }

    /// `self + other`, with the mismatch returned at once.
    pub fn try_add(&self, other: &Linop) -> Result<Linop> {
        super::add(vec![self.clone(), other.clone()])
    }

    /// `c·A`.
    pub fn scaled(&self, c: impl Into<Complex32>) -> Result<Linop> {
        chain(vec![self.clone(), scalar(self.output()?, c)?])
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
