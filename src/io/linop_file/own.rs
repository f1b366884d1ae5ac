//! Kernels of a user's own: `custom`.

use super::fields::Fields;
use super::{Loader, needed, renamed};
use crate::dim::{Shape, parse_dims};
use crate::error::Result;
use crate::io::Array;
use crate::io::file::read_text;
use crate::linop::{self, Linop, Wgsl};
use crate::tensor::{HostArray, Tensor};
use serde_json::Value;

/// Largest kernel in bytes: it is a text that somebody has written.
const MAX_BYTES: u64 = 1 << 20;

impl Loader {
    pub(super) fn custom(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let forward = self.kernel(f, ["wgsl", "constants", "invocations", "workgroups"], None)?;
        let adjoint = ["adjoint_wgsl", "adjoint_constants", "adjoint_invocations", "adjoint_workgroups"];
        let adjoint = self.kernel(f, adjoint, Some("constants"))?;
        if let Some(value) = f.get("host") {
            let host = self.linop(value, input.as_ref(), &f.child("host"))?;
            return renamed(linop::wgsl_or(&forward, &adjoint, &host).map_err(|e| f.here(e))?, f);
        }
        let input = needed(input, f)?;
        let output = match f.text("out")? {
            None => input.clone(),
            // Other names for the extents that come in.
            Some(out) if !out.contains('=') => {
                parse_dims(&out).and_then(|dims| input.renamed(&dims)).map_err(|e| f.at("out", e))?
            }
            Some(out) => out.parse().map_err(|e| f.at("out", e))?,
        };
        linop::wgsl(input, output, &forward, &adjoint).map_err(|e| f.here(e))
    }

    /// The kernel that these fields describe: its text, constants, invocations and workgroups. Without constants of its own it
    /// has those of the other field.
    fn kernel(
        &self,
        f: &Fields,
        [text, constants, invocations, workgroups]: [&str; 4],
        other: Option<&str>,
    ) -> Result<Wgsl> {
        let path = self.folder.join(f.need_text(text, "the path of a file with the kernel's WGSL")?);
        let mut kernel = Wgsl::new(read_text(&path, MAX_BYTES, "a kernel").map_err(|e| f.at(text, e))?);
        self.files.borrow_mut().push(path);
        let own = f.get(constants).map(|_| constants);
        if let Some(field) = own.or(other).filter(|field| f.get(field).is_some()) {
            let list = f.get(field).and_then(Value::as_array);
            let list = list.ok_or_else(|| f.wrong(field, "expected a list of array files, as in [\"w.npy\"]"))?;
            for (k, value) in list.iter().enumerate() {
                kernel = self.bound(kernel, f, &format!("{field}[{k}]"), value)?;
            }
        }
        match (f.get(invocations), f.get(workgroups)) {
            (None, None) => Ok(kernel),
            (Some(v), None) => Ok(kernel.invocations(xyz(f, invocations, v)?)),
            (None, Some(v)) => Ok(kernel.workgroups(xyz(f, workgroups, v)?)),
            _ => Err(f.wrong(workgroups, format!("and \"{invocations}\" are both given; give one"))),
        }
    }

    /// The kernel with one more array: whole numbers as u32, others as f32 or vec2<f32>.
    fn bound(&self, kernel: Wgsl, f: &Fields, field: &str, value: &Value) -> Result<Wgsl> {
        let array = self.array(f, field, value)?;
        let words = match &array {
            Array::I64(a) => Some(a.iter().map(|&n| u32::try_from(n)).collect::<std::result::Result<Vec<_>, _>>()),
            Array::U8(a) => Some(Ok(a.iter().map(|&n| u32::from(n)).collect())),
            Array::F32(_) | Array::C32(_) | Array::F64(_) | Array::C64(_) => None,
        };
        match words {
            Some(Ok(words)) => return Ok(kernel.list(words)),
            Some(Err(_)) => return Err(f.wrong(field, format!("{value} holds numbers that no u32 holds"))),
            None => {}
        }
        let array = array.into_numeric();
        if let Some(at) = array.first_non_finite() {
            return Err(f.wrong(field, format!("{value} holds NaN or infinity at {at:?}; expected finite numbers")));
        }
        let dims = (0..array.shape().len()).map(|k| format!("D{k}").parse()).collect::<Result<Vec<_>>>()?;
        let shape = Shape::new(dims, array.shape().to_vec()).map_err(|e| f.at(field, e))?;
        let array = match array {
            Array::C32(a) => HostArray::Complex32(a.into_shared()),
            Array::F32(a) => HostArray::F32(a.into_shared()),
            other => return Err(f.wrong(field, format!("{value} has dtype {}; expected numbers", other.dtype_name()))),
        };
        Ok(kernel.constant(&Tensor::from_host(shape, array).map_err(|e| f.at(field, e))?))
    }
}

/// One to three numbers; those that are left out are 1.
fn xyz(f: &Fields, field: &str, value: &Value) -> Result<[u32; 3]> {
    let wrong = || f.wrong(field, format!("is {value}; expected one to three whole numbers from 1 on, as in [16, 16]"));
    let list = value.as_array().filter(|l| (1..=3).contains(&l.len())).ok_or_else(wrong)?;
    let mut all = [1; 3];
    for (to, from) in all.iter_mut().zip(list) {
        *to = from.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|&n| n > 0).ok_or_else(wrong)?;
    }
    Ok(all)
}
