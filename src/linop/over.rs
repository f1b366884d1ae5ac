//! A linop over further dims: the same map for every index of dims in front.

use super::{Linop, Operator, Saver};
use crate::access::ValueId;
use crate::dim::{Shape, ToShape};
use crate::error::{Result, shape_err};
use crate::ir::{Builder, Program, ThreadSettings, batched};
use std::slice;
use std::sync::Arc;

impl Linop {
    /// The same linop for every index of these new dims, which x and y have in front: y_t = A x_t.
    ///
    /// One program with axes in front of every value, so one plan with the kernels that A alone has, and A's weights once: no
    /// container of copies, and the cost of A for each entry. Its adjoint is that of A over the dims; its normal is that of A over the dims, so that what A's normal is made of (a convolution for a
    /// non-uniform transform) is shared as well. Dims elsewhere than in front: [`kron`](super::kron) with identities.
    ///
    /// [Splits](Linop::split) along these dims, and along those that A does.
    ///
    /// Bits are those of applying A to each entry, but where the number of results decides: few sums are added up in another order than
    /// many, on the host and on a GPU, and matrix products of many columns in another than of one; the host takes weights of a
    /// non-uniform transform of few images from polynomials. (Right-hand sides in lockstep, [`cg_many`](crate::solve::cg_many), are
    /// planned as one alone is.)
    ///
    /// ```
    /// use linops::{DType, Tensor, linop};
    /// let f = linop::fft("Ny=4 Nx=6", "Ny Nx", Default::default())?.out("Ky Kx")?;
    /// let frames = f.over("T=8 S=3")?;
    /// assert_eq!(frames.output()?.to_string(), "T=8 S=3 Ky=4 Kx=6");
    /// let y = frames.apply(&Tensor::zeros("T=8 S=3 Ny=4 Nx=6", DType::Complex32)?)?;
    /// assert_eq!(y.shape(), frames.output()?);
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// A dim is in the input or in the output already, or the shapes are too large to be counted.
    #[doc(alias = "batch")]
    #[doc(alias = "vmap")]
    pub fn over(&self, dims: impl ToShape) -> Result<Linop> {
        let dims = dims.to_shape()?;
        if dims.rank() == 0 {
            self.check()?;
            return Ok(self.clone());
        }
        let with = |inner: &Shape, side: &str| {
            if let Some(d) = dims.dims().iter().find(|d| inner.axis(**d).is_some()) {
                return shape_err!(
                    "over: dim {d} is in the {side} {inner} of {} already; name a new one",
                    self.label()
                );
            }
            let joined = |a: &Shape| a.iter().collect::<Vec<_>>();
            let (names, extents) = joined(&dims).into_iter().chain(joined(inner)).unzip();
            Shape::new(names, extents)
        };
        let (input, output) = (with(self.input()?, "input")?, with(self.output()?, "output")?);
        Ok(Linop::of(input, output, Over { linop: self.clone(), dims }))
    }
}

#[derive(Debug)]
struct Over {
    linop: Linop,
    dims: Shape,
}

impl Over {
    fn program(&self) -> Result<Program> {
        batched(&*self.linop.program()?, self.dims.extents()).map_err(|e| e.at(self.linop.label()))
    }
}

impl Operator for Over {
    fn op(&self) -> &'static str {
        "over"
    }

    fn details(&self) -> String {
        self.dims.to_string()
    }

    fn children(&self) -> &[Linop] {
        slice::from_ref(&self.linop)
    }

    fn settings(&self) -> Option<&ThreadSettings> {
        self.linop.settings()
    }

    fn with_settings(&self, settings: ThreadSettings) -> Option<Arc<dyn Operator>> {
        self.linop.settings()?;
        Some(Arc::new(Over { linop: self.linop.with_settings(settings), dims: self.dims.clone() }))
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        b.inline(&self.program()?, x)
    }

    fn simplified(&self) -> Option<Result<Arc<Program>>> {
        Some(self.program().map(Arc::new))
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.extents("sizes", &self.dims);
        to.linop(&self.linop, Some(self.linop.input()?))?;
        let made = self.linop.over(&self.dims)?;
        to.within(made.input()?.clone(), made.output()?.clone());
        Ok(())
    }

    fn normal(&self) -> Option<Result<Linop>> {
        Some(self.linop.n().over(&self.dims))
    }
}
