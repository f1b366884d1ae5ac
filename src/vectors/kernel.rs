//! The WGSL of a pass.

use super::{DOTS, Pass, Vector};
use crate::error::Result;
use crate::shader::{Defines, expand};
use std::fmt::Write;

/// Invocations of a workgroup.
pub(crate) const GROUP: u64 = 256;

/// Partial sums of a dot product, at most: so many workgroups go over a vector.
pub(crate) const PARTIALS: u64 = 1024;

/// Number of the first vector's binding, after the parameters and the two states.
pub(crate) const FIRST_VECTOR: u32 = 3;

/// The text of a pass over a space of so many scalars. Vectors are bound in the order of [`Pass::vectors`].
pub(crate) fn kernel(pass: &Pass, scalars: usize) -> Result<String> {
    let mut defines = Defines::default();
    defines.set("SCALARS", scalars);
    defines.set("PARTIALS", PARTIALS);
    defines.set("TOTALS", pass.totals.len());
    defines.set("DOTS", pass.dots.len().min(DOTS));
    for (d, total) in pass.totals.iter().enumerate() {
        defines.set(&format!("TOTAL_{d}"), total.0);
    }
    let mut text = expand(pass.name, include_str!("pass.wgsl"), &[], &defines).map(|t| defines.replaced(&t))?;
    for (k, (vector, written)) in pass.vectors().into_iter().enumerate() {
        let access = if written { "read_write" } else { "read" };
        let number = FIRST_VECTOR + k as u32;
        let name = name(vector);
        let _ = writeln!(text, "@group(0) @binding({number}) var<storage, {access}> {name}: array<vec4<f32>>;");
    }
    text.push_str("\nfn formulas() {\n");
    for (scalar, formula) in &pass.formulas {
        let _ = writeln!(text, "    s[{}u] = {};", scalar.0, formula.wgsl());
    }
    text.push_str("}\n\nfn element(i: u32) -> vec4<f32> {\n");
    for update in &pass.updates {
        let _ = writeln!(text, "    {{\n        var sum = vec4<f32>();");
        for (formula, vector) in &update.terms {
            let name = name(*vector);
            let _ = writeln!(
                text,
                "        if ({0} != 0.0) {{\n            sum += {0} * {name}[i];\n        }}",
                formula.wgsl()
            );
        }
        let _ = writeln!(text, "        {}[i] = sum;\n    }}", name(update.vector));
    }
    text.push_str("    return vec4<f32>(");
    for d in 0..DOTS {
        let part = pass.dots.get(d).map_or_else(
            || "0.0".into(),
            |(x, y)| format!("dot(within(i, {}[i]), within(i, {}[i]))", name(*x), name(*y)),
        );
        let _ = write!(text, "{}{part}", if d > 0 { ", " } else { "" });
    }
    text.push_str(");\n}\n");
    Ok(text)
}

fn name(v: Vector) -> String {
    format!("v{}", v.0)
}
