//! Linops that take any number of dims in front of their input.

use super::Linop;
use crate::dim::Shape;
use crate::error::{Result, shape_err};
use lru::LruCache;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Shapes whose linops are kept, those that were used last.
const KEPT: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// A linop whose input has any dims in front: a pattern `"... Ny=4 Nx=6"` where a [`Linop`] has a shape.
///
/// [`apply`](Batched::apply) looks at the dims that x has in front of the linop's input, and applies the linop
/// [`over`](Linop::over) them: one plan for each shape. The linops of the last 16 shapes are kept, and shared by copies of the
/// handle; their plans are kept by the device as any other. Where one shape is what there is, `over` is enough.
///
/// ```
/// use linops::{DType, Tensor, linop};
/// let f = linop::fft("Ny=4 Nx=6", "Ny Nx", Default::default())?.out("Ky Kx")?.batched();
/// for (x, y) in [("Ny=4 Nx=6", "Ky=4 Kx=6"), ("T=2 C=3 Ny=4 Nx=6", "T=2 C=3 Ky=4 Kx=6")] {
///     assert_eq!(f.apply(&Tensor::zeros(x, DType::Complex32)?)?.shape().to_string(), y);
/// }
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone)]
pub struct Batched {
    linop: Linop,
    /// By the dims in front.
    made: Arc<Mutex<LruCache<Shape, Linop>>>,
    /// Adjoint and normal, with what they keep.
    others: Arc<[OnceLock<Batched>; 2]>,
}

impl Linop {
    /// The same linop for inputs with any number of dims in front.
    pub fn batched(&self) -> Batched {
        Batched { linop: self.clone(), made: Arc::new(Mutex::new(LruCache::new(KEPT))), others: Arc::default() }
    }
}

impl Batched {
    /// The linop for an input without further dims.
    pub fn linop(&self) -> &Linop {
        &self.linop
    }

    /// The adjoint, for any dims in front.
    pub fn h(&self) -> Batched {
        self.other(0, Linop::h)
    }

    /// The normal, for any dims in front.
    pub fn n(&self) -> Batched {
        self.other(1, Linop::n)
    }

    fn other(&self, which: usize, of: fn(&Linop) -> Linop) -> Batched {
        if let Some(known) = self.others[which].get() {
            return known.clone();
        }
        let made = of(&self.linop).batched();
        self.others[which].get_or_init(|| made).clone()
    }

    /// The linop for an input of this shape.
    ///
    /// # Errors
    /// The last dims of the shape are not the linop's input; a dim in front is one of the input or of the output; or the linop
    /// carries an error.
    pub fn for_input(&self, shape: &Shape) -> Result<Linop> {
        let input = self.linop.input()?;
        let front = shape.rank().checked_sub(input.rank());
        let fits = |at: &usize| shape.dims()[*at..] == *input.dims() && shape.extents()[*at..] == *input.extents();
        let Some(front) = front.filter(fits) else {
            let what = self.linop.label();
            return shape_err!(
                "{what}: the input is {shape}, expected \"... {input}\": these dims last, any others in front"
            );
        };
        let dims = Shape::new(shape.dims()[..front].to_vec(), shape.extents()[..front].to_vec())?;
        let locked = || self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = locked().get(&dims).cloned() {
            return Ok(known);
        }
        let made = self.linop.over(&dims)?;
        // Another thread's has its program already.
        Ok(locked().get_or_insert(dims, || made).clone())
    }
}

impl fmt::Debug for Batched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batched\n{}", self.linop)
    }
}
