//! Scalars made of scalars, where the vectors are.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// A scalar of a space, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scalar(pub usize);

/// How a scalar is made.
#[derive(Clone, Debug)]
pub(crate) enum Formula {
    Scalar(Scalar),
    Number(f32),
    Sum(Box<[Formula; 2]>),
    Product(Box<[Formula; 2]>),
    /// 0 where the divisor is not positive or the quotient not finite.
    Quotient(Box<[Formula; 2]>),
    Max(Box<[Formula; 2]>),
    /// 0 for negative numbers.
    Root(Box<Formula>),
    /// The second where the first is positive, else the third.
    IfPositive(Box<[Formula; 3]>),
}

/// Smaller divisors count as 0: f32 has no normal numbers there.
const TINY: f32 = 1e-37;
/// Larger numbers count as infinite: compilers may take for granted that there are no others.
const HUGE: f32 = 3e38;

impl Formula {
    pub fn max(self, other: impl Into<Formula>) -> Formula {
        Formula::Max(Box::new([self, other.into()]))
    }

    pub fn root(self) -> Formula {
        Formula::Root(Box::new(self))
    }

    pub fn if_positive(self, then: impl Into<Formula>, otherwise: impl Into<Formula>) -> Formula {
        Formula::IfPositive(Box::new([self, then.into(), otherwise.into()]))
    }

    /// Its value.
    pub fn value(&self, scalars: &[f64]) -> f64 {
        let pair = |p: &[Formula; 2]| [p[0].value(scalars), p[1].value(scalars)];
        match self {
            Formula::Scalar(s) => scalars[s.0],
            Formula::Number(x) => f64::from(*x),
            Formula::Sum(p) => pair(p).into_iter().sum(),
            Formula::Product(p) => pair(p).into_iter().product(),
            Formula::Quotient(p) => {
                let [a, b] = pair(p);
                let q = a / b;
                if b > f64::from(TINY) && q.abs() < f64::from(HUGE) { q } else { 0.0 }
            }
            Formula::Max(p) => {
                let [a, b] = pair(p);
                if a > b { a } else { b }
            }
            Formula::Root(f) => f.value(scalars).max(0.0).sqrt(),
            Formula::IfPositive(f) => f[if f[0].value(scalars) > 0.0 { 1 } else { 2 }].value(scalars),
        }
    }

    /// Its WGSL; scalars are elements of `s`.
    #[cfg(feature = "gpu")]
    pub fn wgsl(&self) -> String {
        let pair = |p: &[Formula; 2], f: &dyn Fn(String, String) -> String| f(p[0].wgsl(), p[1].wgsl());
        match self {
            Formula::Scalar(s) => format!("s[{}u]", s.0),
            Formula::Number(x) => literal(*x),
            Formula::Sum(p) => pair(p, &|a, b| format!("({a} + {b})")),
            Formula::Product(p) => pair(p, &|a, b| format!("({a} * {b})")),
            Formula::Quotient(p) => pair(p, &|a, b| format!("quotient({a}, {b})")),
            Formula::Max(p) => pair(p, &|a, b| format!("max({a}, {b})")),
            Formula::Root(f) => format!("sqrt(max({}, 0.0))", f.wgsl()),
            Formula::IfPositive(f) => {
                format!("select({}, {}, {} > 0.0)", f[2].wgsl(), f[1].wgsl(), f[0].wgsl())
            }
        }
    }
}

/// A number as WGSL has it. The shortest decimals of the largest one are beyond it, which some compilers refuse.
#[cfg(feature = "gpu")]
pub(crate) fn literal(x: f32) -> String {
    match x.abs() == f32::MAX {
        true => format!("{}3.4028234e38f", if x < 0.0 { "-" } else { "" }),
        false => format!("{x:?}f"),
    }
}

impl From<Scalar> for Formula {
    fn from(s: Scalar) -> Formula {
        Formula::Scalar(s)
    }
}

impl From<f32> for Formula {
    fn from(x: f32) -> Formula {
        Formula::Number(x)
    }
}

macro_rules! operators {
    ($($operator:ident $method:ident $make:expr;)*) => {$(
        impl<T: Into<Formula>> $operator<T> for Formula {
            type Output = Formula;

            fn $method(self, other: T) -> Formula {
                $make(self, other.into())
            }
        }

        impl<T: Into<Formula>> $operator<T> for Scalar {
            type Output = Formula;

            fn $method(self, other: T) -> Formula {
                $make(self.into(), other.into())
            }
        }
    )*};
}

operators! {
    Add add |a, b| Formula::Sum(Box::new([a, b]));
    Sub sub |a, b: Formula| Formula::Sum(Box::new([a, -b]));
    Mul mul |a, b| Formula::Product(Box::new([a, b]));
    Div div |a, b| Formula::Quotient(Box::new([a, b]));
}

impl Neg for Formula {
    type Output = Formula;

    fn neg(self) -> Formula {
        Formula::Product(Box::new([Formula::Number(-1.0), self]))
    }
}

impl Neg for Scalar {
    type Output = Formula;

    fn neg(self) -> Formula {
        -Formula::from(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisions_that_make_no_sense_are_zero() {
        let [a, b] = [Scalar(0), Scalar(1)];
        let q = a / b;
        for (x, y, want) in
            [(6.0, 2.0, 3.0), (1.0, 0.0, 0.0), (1.0, -2.0, 0.0), (1e30, 1e-20, 0.0), (f64::NAN, 1.0, 0.0)]
        {
            assert_eq!(q.value(&[x, y]), want, "{x} / {y}");
        }
    }

    #[test]
    #[cfg(feature = "gpu")]
    fn literals_are_numbers_of_f32() {
        for x in [f32::MAX, -f32::MAX, 0.0, 1.0, -1e-30, f32::MIN_POSITIVE] {
            let text = literal(x);
            let decimal: f64 = text.trim_end_matches('f').parse().unwrap();
            assert!(decimal.abs() <= f64::from(f32::MAX) && decimal as f32 == x, "{text}");
        }
    }

    #[test]
    fn formulas_compute_what_they_say() {
        let [a, b] = [Scalar(0), Scalar(1)];
        let f = (a - b * 2.0).max(-a).if_positive(a + 1.0, b);
        assert_eq!(f.value(&[5.0, 1.0]), 6.0);
        assert_eq!(f.value(&[-5.0, 1.0]), -4.0);
        assert_eq!(f.value(&[0.0, 1.0]), 1.0);
        let root = (a * b).root();
        assert_eq!((root.value(&[8.0, 2.0]), root.value(&[8.0, -2.0])), (4.0, 0.0));
    }
}
