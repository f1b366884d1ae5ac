//! The small step between the files of `shaders/` and WGSL: `#import name`, each file once.

use crate::error::{Error, Result};

/// The files that may be imported or assembled.
const FILES: [(&str, &str); 16] = [
    ("complex", include_str!("../../shaders/complex.wgsl")),
    ("params", include_str!("../../shaders/params.wgsl")),
    ("index", include_str!("../../shaders/index.wgsl")),
    ("map", include_str!("../../shaders/map.wgsl")),
    ("reduce", include_str!("../../shaders/reduce.wgsl")),
    ("reduce_group", include_str!("../../shaders/reduce_group.wgsl")),
    ("gather", include_str!("../../shaders/gather.wgsl")),
    ("scatter", include_str!("../../shaders/scatter.wgsl")),
    ("interpolate", include_str!("../../shaders/interpolate.wgsl")),
    ("spread", include_str!("../../shaders/spread.wgsl")),
    ("spread_sum", include_str!("../../shaders/spread_sum.wgsl")),
    ("dot", include_str!("../../shaders/dot.wgsl")),
    ("dot_total", include_str!("../../shaders/dot_total.wgsl")),
    ("axpy", include_str!("../../shaders/axpy.wgsl")),
    ("xpay", include_str!("../../shaders/xpay.wgsl")),
    ("divide", include_str!("../../shaders/divide.wgsl")),
];

/// A file of `shaders/` with its imports in front, each once.
///
/// # Errors
/// A file or import that does not exist, with the line that asks for it.
pub fn expand(name: &str) -> Result<String> {
    let mut out = String::new();
    append(name, &mut Vec::new(), &mut out)?;
    Ok(out)
}

fn append(name: &str, done: &mut Vec<String>, out: &mut String) -> Result<()> {
    if done.iter().any(|d| d == name) {
        return Ok(());
    }
    done.push(name.to_string());
    let Some((_, text)) = FILES.iter().find(|(n, _)| *n == name) else {
        return Err(Error::Shader { kernel: name.into(), message: "no such file in shaders/".into() });
    };
    for (i, line) in text.lines().enumerate() {
        match line.strip_prefix("#import ") {
            Some(import) => append(import.trim(), done, out).map_err(|_| Error::Shader {
                kernel: name.into(),
                message: format!("line {}: cannot import {import}", i + 1),
            })?,
            None if line.starts_with('#') => {
                return Err(Error::Shader { kernel: name.into(), message: format!("line {}: {line}", i + 1) });
            }
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    Ok(())
}
