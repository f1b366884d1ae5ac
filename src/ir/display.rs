//! Programs as text, for people and for snapshot tests: stable, without addresses or ids.

use super::{Op, Program, Split};
use crate::access::{MapAxis, conj_mark, scalar};
use std::fmt;

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_program(f, self, 0)
    }
}

fn write_program(f: &mut fmt::Formatter<'_>, p: &Program, depth: usize) -> fmt::Result {
    let pad = "  ".repeat(depth);
    writeln!(f, "{pad}x0: {:?}", p.input)?;
    for (i, n) in p.nodes.iter().enumerate() {
        let inputs: Vec<String> = n.inputs.iter().map(|v| format!("x{v}")).collect();
        writeln!(f, "{pad}x{}: {:?} = {} {}", i + 1, n.extents, Describe(&n.op), inputs.join(" "))?;
        if let Op::Parallel(par) = &n.op {
            for child in &par.children {
                write_program(f, child, depth + 2)?;
            }
        }
    }
    writeln!(f, "{pad}return x{}", p.output)
}

/// An op with its parameters.
pub(super) fn describe(op: &Op) -> String {
    Describe(op).to_string()
}

struct Describe<'a>(&'a Op);

impl fmt::Display for Describe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Op::Zero => f.write_str("zero"),
            Op::Scale(c) => write!(f, "scale {}", scalar(*c)),
            Op::Mul { weight, axes, conj } => write!(f, "mul{} {weight:?} on {axes:?}", conj_mark(*conj)),
            Op::Map(axes) => {
                f.write_str("map")?;
                for a in axes {
                    match a {
                        MapAxis::New => f.write_str(" new")?,
                        MapAxis::From(a, m) => write!(f, " {a}{m}")?,
                    }
                }
                Ok(())
            }
            Op::Reshape => f.write_str("reshape"),
            Op::Sum(axes) => write!(f, "sum {axes:?}"),
            Op::Add => f.write_str("add"),
            Op::Primitive(p) => f.write_str(&p.describe()),
            Op::Parallel(p) => {
                write!(f, "parallel \"{}\" feed {} join {}", p.label, split(&p.feed), split(&p.join))
            }
        }
    }
}

fn split(s: &Split) -> String {
    match s {
        Split::Whole => "whole".into(),
        Split::Slices { axis, extents } => format!("slices {extents:?} on {axis}"),
    }
}
