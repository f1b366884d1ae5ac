//! `*`, `+`, `-` and scalars as Rust operators. They cannot return a `Result`, so a mismatch makes a linop that carries the
//! error with the place in the caller's source.

use super::chain::Chain;
use super::containers::Container;
use super::{Linop, Operator, add_weighted, chain, scalar};
use crate::error::{Error, Result};
use num_complex::Complex32;
use std::ops::{Add, Mul, Neg, Sub};
use std::panic::Location;

impl Linop {
    /// `self` after `first`, with the mismatch returned at once.
    pub fn compose(&self, first: &Linop) -> Result<Linop> {
        // Products of products are one chain: however many are multiplied, nothing nests.
        let mut parts = factors(first);
        parts.extend(factors(self));
        chain(parts)
    }

    /// `self + other`, with the mismatch returned at once.
    pub fn try_add(&self, other: &Linop) -> Result<Linop> {
        // Sums of sums are one add, summed from left to right, whatever the brackets: nothing nests.
        let mut terms = terms(self);
        terms.extend(self::terms(other));
        super::add(terms)
    }

    /// `c·A`.
    pub fn scaled(&self, c: impl Into<Complex32>) -> Result<Linop> {
        let mut parts = factors(self);
        parts.push(scalar(self.output()?, c)?);
        chain(parts)
    }
}

/// The factors of a chain, or the linop itself.
fn factors(l: &Linop) -> Vec<Linop> {
    match l.of_type::<Chain>() {
        Some(c) => opened(l, c.children()),
        None => vec![l.clone()],
    }
}

/// The terms of an add, or the linop itself.
fn terms(l: &Linop) -> Vec<Linop> {
    match l.of_type::<Container>() {
        Some(c) if c.is_sum() => opened(l, c.children()),
        _ => vec![l.clone()],
    }
}

/// The linops inside a container, where it says nothing of its own: no name, no settings, no names of dims.
fn opened(l: &Linop, inside: &[Linop]) -> Vec<Linop> {
    let Ok(node) = l.node() else { return vec![l.clone()] };
    let plain = node.name.is_none() && node.operator.settings().is_none_or(|s| *s == Default::default());
    let same_input = inside.first().is_some_and(|c| c.input().is_ok_and(|i| *i == node.input));
    let same_output = inside.last().is_some_and(|c| c.output().is_ok_and(|o| *o == node.output));
    if plain && same_input && same_output { inside.to_vec() } else { vec![l.clone()] }
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
binary!(Sub, sub, |a, b| add_weighted([a, b], &[1.0, -1.0]));

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
