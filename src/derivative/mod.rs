//! Derivatives: of linops, of their weights and coordinates, and of solutions. What learning by gradients is written in.
//!
//! A loss L is real, and its gradient with regard to a complex x is **∂L/∂Re x + i·∂L/∂Im x**: then dL = Re⟨g, dx⟩, and x − τ·g is a
//! step downhill. (PyTorch and JAX differ here: this is PyTorch's, and the conjugate of JAX's.) With regard to a real x it is the real
//! part, ∂L/∂x.
//!
//! A linop y = A x is its own derivative, so the gradient g of a loss with regard to y becomes Aᴴg with regard to x: its
//! vector–Jacobian product, [`Linop::vjp`]. With regard to what a linop is made of, y changes by another linop:
//!
//! | y | derivative with regard to | |
//! |---|---|---|
//! | `diagonal(w)·x` | the weight | [`of_diagonal`] |
//! | `dense(w)·x` | the weight | [`of_dense`] |
//! | `convolve(k)·x` | the kernel | [`of_convolve`] |
//! | `nufft(k)·x` | the coordinates, in cycles per field of view | [`of_nufft`] |
//!
//! The chain rule is the product of linops: with regard to w, F·diagonal(w)·x has the derivative `F * of_diagonal(w, x)`. A linop of
//! these is built for one x, and each has a plan of its own; x goes through the host if it is elsewhere.
//!
//! Solutions x = (N + λI)⁻¹b and of least squares are not differentiated step by step but as what they are
//! ([`solve_vjp`], [`solve_vjp_by`], [`least_squares_vjp`], [`tikhonov_vjp`], and [`convex_vjp`] of l1 norms, total variation and bounds): that takes one
//! more solve, however many iterations there were.
//!
//! ```
//! use linops::{DType, Tensor, derivative, linop};
//! // L = ½‖w∘x − y‖², with regard to w.
//! let [w, x, y] = [[1.0, 2.0], [3.0, -1.0], [2.0, 2.0]].map(|v| Tensor::from_slice("N=2", &v));
//! let (w, x, y) = (w?, x?, y?);
//! let g = (linop::diagonal("N=2", &w)?.apply(&x)? - &y).eval()?;
//! let gradient = derivative::of_diagonal(w.shape(), &x)?.vjp(&g, DType::F32)?;
//! assert_eq!(gradient.to_real_vec()?, [3.0, 4.0]);
//! # Ok::<(), linops::Error>(())
//! ```

mod convex;
mod coordinates;
mod implicit;
mod pieces;
mod weights;

pub use convex::{ConvexGradient, ConvexGradientOptions, convex_vjp};
pub use coordinates::of_nufft;
pub use implicit::{
    LeastSquaresGradient, SolveGradient, TikhonovGradient, least_squares_vjp, solve_vjp, solve_vjp_by, tikhonov_vjp,
};
pub use weights::{of_convolve, of_dense, of_diagonal};

use crate::error::Result;
use crate::linop::Linop;
use crate::tensor::{DType, Tensor};

impl Linop {
    /// The gradient of a loss with regard to x, of one, `g`, with regard to y = A x: Aᴴg, of which real values are taken where x is
    /// of real `dtype`. The convention is that of [`derivative`](crate::derivative).
    ///
    /// ```
    /// use linops::{DType, Tensor, linop, num_complex::Complex32};
    /// let a = linop::scalar("N=1", Complex32::new(0.0, 2.0))?;
    /// let g = Tensor::from_slice("N=1", &[Complex32::new(3.0, 4.0)])?;
    /// assert_eq!(a.vjp(&g, DType::Complex32)?.to_vec()?, [Complex32::new(8.0, -6.0)]);
    /// // Of a real x only the real part counts.
    /// assert_eq!(a.vjp(&g, DType::F32)?.to_real_vec()?, [8.0]);
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// g has other dims or extents than y, the linop carries an error, or the device fails.
    pub fn vjp(&self, g: &Tensor, dtype: DType) -> Result<Tensor> {
        as_dtype(self.h().apply(g)?, dtype)
    }
}

/// A gradient with regard to what is of this dtype.
fn as_dtype(g: Tensor, dtype: DType) -> Result<Tensor> {
    match dtype {
        DType::F32 => g.real(),
        DType::Complex32 => g.to_dtype(DType::Complex32),
    }
}
