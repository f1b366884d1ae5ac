//! Linops of kernels: a pair of WGSL texts.

use super::saved::shape_text;
use super::{Linop, Operator, SavedArray, SavedValue, Saver, constant};
use crate::access::ValueId;
use crate::dim::{Shape, ToShape};
use crate::error::Result;
use crate::ir::Builder;
use crate::primitive::custom::{Custom, Grid, OwnKernel};
use crate::shader::{List, Operand};
use crate::tensor::Tensor;
use std::sync::Arc;

/// A compute kernel of your own: its text, the constants that it reads, and over how many invocations it is dispatched.
///
/// ```wgsl
/// @group(0) @binding(0) var<storage, read> x: array<T>;
/// @group(0) @binding(1) var<storage, read_write> y: array<T>;
///
/// @compute @workgroup_size(64)
/// fn main(@builtin(global_invocation_id) id: vec3<u32>) {
///     if (id.x < arrayLength(&y)) {
///         y[id.x] = 2.0 * x[id.x];
///     }
/// }
/// ```
///
/// - Binding 0 is the input, binding 1 the result, both whole, in C order. The result is 0 before the kernel
///   runs: an element that it does not write stays 0, and it may add to it.
/// - `T` is `f32` for real values and `vec2<f32>` (re, im) for complex ones: where the text does not declare it, the kernel is made
///   for both, word by word. With `vec2<f32>` written out real values are made complex; with `f32` complex ones are refused.
/// - [`constant`](Wgsl::constant)s and [`list`](Wgsl::list)s follow from binding 2 on, `var<storage, read>`.
/// - The entry point is `main`. Without [`invocations`](Wgsl::invocations) or [`workgroups`](Wgsl::workgroups) there is one
///   invocation for each result, along x, rounded up to whole workgroups.
/// - An `override` has the value that the text gives it. Workgroups, and what they have in `var<workgroup>`, must fit the device: it
///   is looked at when a plan is made.
/// - Dims that [`over`](Linop::over) puts in front are a dispatch for each of their entries, 4096 at most.
/// - No optional feature of WGSL is there: what naga takes for the poorest GPU.
#[derive(Clone, Debug)]
pub struct Wgsl {
    text: String,
    constants: Vec<Bound>,
    grid: Grid,
}

#[derive(Clone, Debug)]
enum Bound {
    Numbers(Tensor),
    Words(Vec<u32>),
}

impl Wgsl {
    /// A kernel of this text.
    pub fn new(text: impl Into<String>) -> Wgsl {
        Wgsl { text: text.into(), constants: Vec::new(), grid: Grid::default() }
    }

    /// With a host tensor at the next binding, as `array<f32>` or `array<vec2<f32>>` in C order.
    #[must_use]
    pub fn constant(mut self, values: &Tensor) -> Wgsl {
        self.constants.push(Bound::Numbers(values.clone()));
        self
    }

    /// With whole numbers at the next binding, as `array<u32>`.
    #[must_use]
    pub fn list(mut self, words: Vec<u32>) -> Wgsl {
        self.constants.push(Bound::Words(words));
        self
    }

    /// Over so many invocations along x, y, z, rounded up to whole workgroups.
    #[must_use]
    pub fn invocations(mut self, xyz: [u32; 3]) -> Wgsl {
        self.grid = Grid::Invocations(xyz);
        self
    }

    /// Over so many workgroups along x, y, z.
    #[must_use]
    pub fn workgroups(mut self, xyz: [u32; 3]) -> Wgsl {
        self.grid = Grid::Workgroups(xyz);
        self
    }

    fn saved_lines(&self) -> Vec<SavedValue> {
        self.text.split('\n').map(SavedValue::from).collect()
    }

    fn saved_constants(&self) -> Result<Vec<SavedValue>> {
        let one = |b: &Bound| match b {
            Bound::Numbers(t) => SavedArray::of_tensor(t).map(SavedValue::Array),
            Bound::Words(words) => {
                let words = words.iter().map(|&n| i64::from(n)).collect::<Vec<_>>();
                Ok(SavedArray::Indices(ndarray::Array1::from(words).into_dyn()).into())
            }
        };
        self.constants.iter().map(one).collect()
    }

    fn kernel(&self, name: &str) -> Result<OwnKernel> {
        let operand = |b: &Bound| match b {
            Bound::Numbers(t) => Ok(Operand::Constant(constant(t)?)),
            Bound::Words(words) if words.is_empty() => {
                crate::error::value_err!("a list without numbers; a kernel binds one at least")
            }
            Bound::Words(words) => Ok(Operand::List(List::shared(&Arc::new(words.clone())))),
        };
        let named = |e: crate::Error| e.at(format!("the {name} kernel"));
        let constants = self.constants.iter().map(operand).collect::<Result<Vec<_>>>().map_err(named)?;
        OwnKernel::new(name, &self.text, constants, self.grid)
    }
}

/// y = A x by kernels of your own, forward and adjoint, on GPUs alone: see [`Wgsl`] for what they declare.
///
/// They run as they are written, with wgpu's runtime checks on, so that no index reaches outside of a buffer. That the second
/// is the adjoint of the first is yours to see to: [`check::dot_test`](crate::check::dot_test) and `linops check` show whether it is. A
/// kernel of others is not cut: a dispatch that takes longer than a driver's patience (a second or two) ends the device.
///
/// The normal is one after the other, and nothing fuses with them: each is a step that reads all of its input and writes all of
/// its result. [Splits](Linop::split) along dims that [`over`](Linop::over) puts in front, and no others.
///
/// ```
/// # #[cfg(feature = "gpu")]
/// # fn main() -> linops::Result<()> {
/// use linops::explain::Target;
/// use linops::linop::{self, Wgsl};
/// let double = Wgsl::new(
///     "@group(0) @binding(0) var<storage, read> x: array<T>;
///      @group(0) @binding(1) var<storage, read_write> y: array<T>;
///      @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
///          if (id.x < arrayLength(&y)) { y[id.x] = 2.0 * x[id.x]; }
///      }",
/// );
/// let a = linop::wgsl("Ny=8 Nx=6", "Ny=8 Nx=6", &double, &double)?;
/// println!("{}", a.n().plan_for(&Target::poorest(), linops::DType::Complex32)?);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "gpu"))]
/// # fn main() {}
/// ```
///
/// # Errors
/// `input` or `output` is no shape; naga refuses a text ([`Error::Shader`](crate::Error), with the place in it), or it declares other
/// bindings than it is given; a constant is not on the host; or this build has no GPU support. Planning for the host is
/// [`Error::Device`](crate::Error), for a GPU whose bindings are too small [`Error::TooBig`](crate::Error).
pub fn wgsl(input: impl ToShape, output: impl ToShape, forward: &Wgsl, adjoint: &Wgsl) -> Result<Linop> {
    build(input.to_shape()?, output.to_shape()?, forward, adjoint, None)
}

/// [`wgsl`] with a linop that does the same on the host, such as one of [functions](super::from_fn()). Its input and output are the
/// linop's.
///
/// ```
/// # #[cfg(feature = "gpu")]
/// # fn main() -> linops::Result<()> {
/// use linops::linop::{self, Wgsl};
/// use linops::Tensor;
/// let double = Wgsl::new(
///     "@group(0) @binding(0) var<storage, read> x: array<T>;
///      @group(0) @binding(1) var<storage, read_write> y: array<T>;
///      @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
///          if (id.x < arrayLength(&y)) { y[id.x] = 2.0 * x[id.x]; }
///      }",
/// );
/// let a = linop::wgsl_or(&double, &double, &linop::scalar("N=2", 2.0)?)?;
/// // On the host, where x is, the scalar runs.
/// let y = a.apply(&Tensor::from_array(ndarray::arr1(&[1f32, 3.0]), "N")?)?;
/// assert_eq!(y.to_real_array()?, ndarray::arr1(&[2f32, 6.0]).into_dyn());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "gpu"))]
/// # fn main() {}
/// ```
///
/// # Errors
/// As for `wgsl`; the host's linop carries an error.
pub fn wgsl_or(forward: &Wgsl, adjoint: &Wgsl, host: &Linop) -> Result<Linop> {
    build(host.input()?.clone(), host.output()?.clone(), forward, adjoint, Some(host))
}

fn build(input: Shape, output: Shape, forward: &Wgsl, adjoint: &Wgsl, host: Option<&Linop>) -> Result<Linop> {
    let given = [forward.clone(), adjoint.clone()];
    let (forward, adjoint) = (forward.kernel("forward")?, adjoint.kernel("adjoint")?);
    let details = format!("{} values{}", forward.values(), if host.is_some() { ", and on the host:" } else { "" });
    let program = host.map(|h| h.program().map(|p| (*p).clone())).transpose()?;
    let custom = Custom::new(input.extents(), output.extents(), forward, adjoint, program)?;
    Ok(Linop::of(input, output, OwnKernels { custom, details, given, host: host.cloned() }))
}

#[derive(Debug)]
struct OwnKernels {
    custom: Custom,
    details: String,
    /// Forward and adjoint.
    given: [Wgsl; 2],
    host: Option<Linop>,
}

impl Operator for OwnKernels {
    fn op(&self) -> &'static str {
        "custom"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn children(&self) -> &[Linop] {
        self.host.as_slice()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        b.apply(x, self.custom.clone())
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let [forward, adjoint] = &self.given;
        to.field("wgsl", forward.saved_lines());
        to.field("adjoint_wgsl", adjoint.saved_lines());
        // Without a list of its own the adjoint has that of the forward.
        if !(forward.constants.is_empty() && adjoint.constants.is_empty()) {
            to.field("constants", forward.saved_constants()?);
            to.field("adjoint_constants", adjoint.saved_constants()?);
        }
        for (kernel, prefix) in [(forward, ""), (adjoint, "adjoint_")] {
            let (field, xyz) = match kernel.grid {
                Grid::PerResult => continue,
                Grid::Invocations(xyz) => ("invocations", xyz),
                Grid::Workgroups(xyz) => ("workgroups", xyz),
            };
            let xyz = xyz.iter().map(|&n| i64::from(n).into()).collect::<Vec<SavedValue>>();
            to.field(&format!("{prefix}{field}"), xyz);
        }
        match &self.host {
            Some(host) => {
                to.linop_as("host", host, Some(host.input()?))?;
                to.within(host.input()?.clone(), host.output()?.clone());
            }
            None => {
                let output = to.output().clone();
                if output != *to.input() {
                    to.field("out", shape_text(&output));
                }
                to.makes(output);
            }
        }
        Ok(())
    }
}
