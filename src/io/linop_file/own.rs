//! Kernels of a user's own: `custom`.

use super::arrays::called;
use super::fields::Fields;
use super::op::{FileOp, must, open};
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

const TEXT: &str = "path, or a list of lines";
const ARRAYS: &str = "list of arrays";
const XYZ: &str = "one to three whole numbers";

impl Loader {
    pub(super) const CUSTOM: FileOp = FileOp {
        name: "custom",
        summary: "A pair of kernels of one's own",
        forward: "what the kernel `main` makes of x (binding 0, `array<T>`) in y (binding 1), both whole and in C order; y is 0 before, so what the kernel does not write stays 0. `T` stands for `f32` and `vec2<f32>`; on a GPU, and on the host what `host` does. `linops check` tells whether the second kernel is the adjoint of the first",
        fields: &[
            must("wgsl", TEXT, "the forward kernel in WGSL: a file with its text, or the lines of that"),
            must("adjoint_wgsl", TEXT, "the adjoint kernel: its binding 0 is y, its binding 1 the result"),
            open(
                "constants",
                ARRAYS,
                "none",
                "bound from binding 2 on: whole numbers as `u32`, others as `f32` or `vec2<f32>`",
            ),
            open("adjoint_constants", ARRAYS, "`constants`", "the same for the adjoint kernel"),
            open(
                "invocations",
                XYZ,
                "one for each result",
                "invocations along x, y, z, rounded up to whole workgroups",
            ),
            open("workgroups", XYZ, "by `invocations`", "workgroups along x, y, z, instead of `invocations`"),
            open("adjoint_invocations", XYZ, "one for each result", "the same as `invocations`, of the adjoint kernel"),
            open(
                "adjoint_workgroups",
                XYZ,
                "by `adjoint_invocations`",
                "the same as `workgroups`, of the adjoint kernel",
            ),
            open("host", "linop", "runs on a GPU only", "a linop that does the same on the host"),
            open(
                "out",
                "dims with or without extents, as text",
                "as the input; with `host` as its output",
                "the output: other names for the extents that come in, or extents too, as in `\"M=4\"`; with `host` new names",
            ),
        ],
        examples: &[r#"{ "op": "custom", "in": "N=4", "constants": [[1, 0.5, 2, -1]],
  "host": { "op": "diagonal", "weight": [1, 0.5, 2, -1], "dims": "N" },
  "wgsl": ["@group(0) @binding(0) var<storage, read> x: array<T>;",
    "@group(0) @binding(1) var<storage, read_write> y: array<T>;",
    "@group(0) @binding(2) var<storage, read> w: array<f32>;",
    "@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {",
    "  if (id.x < arrayLength(&y)) { y[id.x] = w[id.x] * x[id.x]; }",
    "}"],
  "adjoint_wgsl": ["@group(0) @binding(0) var<storage, read> x: array<T>;",
    "@group(0) @binding(1) var<storage, read_write> y: array<T>;",
    "@group(0) @binding(2) var<storage, read> w: array<f32>;",
    "@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {",
    "  if (id.x < arrayLength(&y)) { y[id.x] = w[id.x] * x[id.x]; }",
    "}"] }"#],
        build: Loader::custom,
    };

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
            // Other names for the extents that come in; none at all is a single number.
            Some(out) if !out.contains('=') && !out.trim().is_empty() => {
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
        let expected = "the path of a file with the kernel's WGSL, or a list of its lines";
        let mut kernel = match f.get(text) {
            Some(Value::Array(lines)) => {
                let lines = lines.iter().map(Value::as_str).collect::<Option<Vec<_>>>();
                Wgsl::new(lines.ok_or_else(|| f.wrong(text, format!("expected {expected}")))?.join("\n"))
            }
            _ => {
                let path = self.folder.join(f.need_text(text, expected)?);
                let read = read_text(&path, MAX_BYTES, "a kernel").map_err(|e| f.at(text, e))?;
                self.files.borrow_mut().push(path);
                Wgsl::new(read)
            }
        };
        let own = f.get(constants).map(|_| constants);
        if let Some(field) = own.or(other).filter(|field| f.get(field).is_some()) {
            let list = f.get(field).and_then(Value::as_array);
            let list = list.ok_or_else(|| f.wrong(field, "expected a list of arrays, as in [\"w.npy\"]"))?;
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
            Some(Err(_)) => return Err(f.wrong(field, format!("{} holds numbers that no u32 holds", called(value)))),
            None => {}
        }
        let array = array.into_numeric();
        if let Some(at) = array.first_non_finite() {
            return Err(
                f.wrong(field, format!("{} holds NaN or infinity at {at:?}; expected finite numbers", called(value)))
            );
        }
        let dims = (0..array.shape().len()).map(|k| format!("D{k}").parse()).collect::<Result<Vec<_>>>()?;
        let shape = Shape::new(dims, array.shape().to_vec()).map_err(|e| f.at(field, e))?;
        let array = match array {
            Array::C32(a) => HostArray::Complex32(a.into_shared()),
            Array::F32(a) => HostArray::F32(a.into_shared()),
            other => {
                return Err(
                    f.wrong(field, format!("{} has dtype {}; expected numbers", called(value), other.dtype_name()))
                );
            }
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
