//! A computation with every kind of step, whose results show that a device does them right.

use super::{Computation, Map, Pair};
use num_complex::Complex32;

/// Of a complex tensor x: everything that there is, once, with values of moderate size.
pub(crate) fn computation() -> Computation {
    let mut c = Computation::default();
    let x = c.input(true);
    let number = c.number(Complex32::new(0.75, -0.5), true);
    let small = c.number(Complex32::new(0.125, 0.0), false);
    let shifted = c.pair(Pair::Sum, x, number);
    let (re, im) = (c.map(Map::Real, x), c.map(Map::Imaginary, x));
    let parts = [
        c.pair(Pair::Product, shifted, x),
        c.pair(Pair::Quotient, x, shifted),
        c.map(Map::Conjugate, x),
        c.map(Map::Direction, shifted),
        c.pair(Pair::Shrunk, x, small),
    ];
    let (magnitude, square) = (c.map(Map::Magnitude, x), c.map(Map::Square, re));
    let (larger, smaller) = (c.pair(Pair::Larger, re, im), c.pair(Pair::Smaller, re, small));
    let (side, shrunk) = (c.map(Map::Direction, im), c.pair(Pair::Shrunk, im, small));
    let (root, negative) = (c.map(Map::Root, square), c.map(Map::Negative, larger));
    let (squares, distance) = (c.map(Map::Square, shifted), c.map(Map::Magnitude, im));
    let ratio = c.pair(Pair::Quotient, magnitude, squares);
    let real = [magnitude, smaller, side, shrunk, root, negative, ratio, distance];
    let real = real.into_iter().reduce(|a, b| c.pair(Pair::Sum, a, b)).unwrap_or(x);
    let complex = parts.into_iter().reduce(|a, b| c.pair(Pair::Difference, a, b)).unwrap_or(x);
    let scaled = c.pair(Pair::Product, real, complex);
    c.pair(Pair::Quotient, scaled, squares);
    c
}

/// The same of a real tensor x, as far as there is something to do: by units of four.
pub(crate) fn real_computation() -> Computation {
    let mut c = Computation::default();
    let x = c.input(false);
    let number = c.number(Complex32::new(0.75, 0.0), false);
    let small = c.number(Complex32::new(0.125, 0.0), false);
    let parts = [
        c.pair(Pair::Product, x, x),
        c.pair(Pair::Difference, number, x),
        c.map(Map::Magnitude, x),
        c.map(Map::Direction, x),
        c.pair(Pair::Shrunk, x, small),
        c.pair(Pair::Larger, x, small),
    ];
    parts.into_iter().reduce(|a, b| c.pair(Pair::Sum, a, b));
    c
}

/// Its magnitudes.
pub(crate) fn magnitudes() -> Computation {
    let mut c = computation();
    let last = c.steps().len() - 1;
    c.map(Map::Magnitude, last);
    c
}
