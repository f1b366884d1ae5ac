//! Fused reads, weights and index maps as text, for listings and snapshots: stable, without addresses or ids.

use super::{AxisIndex, AxisMap, Factor, Load, Post, Validity};
use num_complex::Complex64;
use std::fmt;

/// A scalar: one number where it is real.
pub(crate) fn scalar(c: Complex64) -> String {
    if c.im == 0.0 { format!("{:.7}", c.re) } else { format!("({:.7}, {:.7})", c.re, c.im) }
}

/// What stands behind a weight that is conjugated.
pub(crate) fn conj_mark(conj: bool) -> &'static str {
    if conj { "*" } else { "" }
}

/// Weights and a scalar that are multiplied to something.
fn times(f: &mut fmt::Formatter<'_>, factors: &[Factor], scale: Complex64) -> fmt::Result {
    for w in factors {
        write!(f, "·{:?}{}", w.weight, conj_mark(w.conj))?;
    }
    if scale != Complex64::ONE { write!(f, "·{}", scalar(scale)) } else { Ok(()) }
}

impl fmt::Display for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        times(f, &self.factors, self.scale)
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.value)?;
        if !self.is_in_order() {
            f.write_str("[")?;
            for (a, axis) in self.source.axes.iter().enumerate() {
                if a > 0 {
                    f.write_str(" ")?;
                }
                let n = self.extents[a];
                let bounds = match self.valid[a] == Validity::total(n) {
                    true => String::new(),
                    false => format!(" in {}..{}", self.valid[a].lo, self.valid[a].hi),
                };
                match axis {
                    AxisIndex::Linear { stride } => write!(f, "{n}:{stride}{bounds}")?,
                    AxisIndex::Divided { num, off, den, stride } => {
                        write!(f, "{n}:({num}n{off:+})/{den}·{stride}{bounds}")?;
                    }
                    AxisIndex::Wrapped { num, off, extent, stride } => {
                        write!(f, "{n}:({num}n{off:+} mod {extent})·{stride}{bounds}")?;
                    }
                }
            }
            match self.source.base {
                0 => f.write_str("]")?,
                base => write!(f, "; {base:+}]")?,
            }
        }
        times(f, &self.factors, self.scale)
    }
}

impl fmt::Display for AxisMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.num == 1 { "n".to_string() } else { format!("{}n", self.num) };
        let off = if self.off == 0 { String::new() } else { format!("{:+}", self.off) };
        let den = if self.den == 1 { String::new() } else { format!("/{}", self.den) };
        let wrap = if self.wrap { " mod" } else { "" };
        write!(f, "[{sign}{off}{den}{wrap}; {}..{}]", self.lo, self.hi)
    }
}
