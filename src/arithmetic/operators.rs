//! `+`, `-`, `*`, `/` and `-x` of tensors, expressions and numbers. They cannot return a `Result`, so what cannot be carries the
//! error.

use super::Expression;
use crate::elementwise::{Map, Pair};
use crate::tensor::Tensor;
use num_complex::Complex32;
use std::ops::{Add, Div, Mul, Neg, Sub};

macro_rules! operator {
    ($left:ty, $right:ty, $($trait:ident $method:ident $pair:ident),*) => {$(
        impl $trait<$right> for $left {
            type Output = Expression;
            #[track_caller]
            fn $method(self, other: $right) -> Expression {
                Expression::from(self).paired(Pair::$pair, &other.into())
            }
        }
    )*};
}

macro_rules! operators {
    ($($left:ty => $($right:ty),*;)*) => {$($(
        operator!($left, $right, Add add Sum, Sub sub Difference, Mul mul Product, Div div Quotient);
    )*)*};
}

operators! {
    Tensor => Tensor, &Tensor, Expression, &Expression, f32, Complex32;
    &Tensor => Tensor, &Tensor, Expression, &Expression, f32, Complex32;
    Expression => Tensor, &Tensor, Expression, &Expression, f32, Complex32;
    &Expression => Tensor, &Tensor, Expression, &Expression, f32, Complex32;
    f32 => Tensor, &Tensor, Expression, &Expression;
    Complex32 => Tensor, &Tensor, Expression, &Expression;
}

macro_rules! negative {
    ($($t:ty),*) => {$(
        impl Neg for $t {
            type Output = Expression;
            #[track_caller]
            fn neg(self) -> Expression {
                Expression::from(self).mapped(Map::Negative)
            }
        }
    )*};
}

negative!(Tensor, &Tensor, Expression, &Expression);
