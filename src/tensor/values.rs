//! Tensors from values and back: slices, vectors, arrays of `ndarray`.

use super::element::narrowed;
use super::{Element, HostArray, Tensor, ToElement, copied, in_order};
use crate::allocate::collected;
use crate::dim::{ToDims, ToShape, nameless};
use crate::error::{Error, Result, shape_err};
use ndarray::{Array, ArrayBase, ArrayD, Data, Dimension};
use num_complex::Complex32;

impl Tensor {
    /// A host tensor from an array or a view (an array of 32-bit numbers is not copied) and its dims, as in `"C Ny Nx"`; extents
    /// may be given too and are checked.
    ///
    /// ```
    /// use linops::{Tensor, ndarray::array};
    /// let a = array![[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// assert_eq!(Tensor::from_array(a.t(), "Nx Ny")?.shape().to_string(), "Nx=3 Ny=2");
    /// assert_eq!(Tensor::from_array(a.mapv(f64::from), ["Ny", "Nx"])?.to_real_array()?, a.clone().into_dyn());
    /// assert!(Tensor::from_array(a, "Ny=3 Nx=3").is_err());
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// Another number of dims than axes, another extent than given, a repeated dim, an extent 0; a finite value that 32-bit
    /// numbers do not reach.
    pub fn from_array<S, D>(array: ArrayBase<S, D>, dims: impl ToDims) -> Result<Tensor>
    where
        S: Data<Elem: ToElement>,
        D: Dimension,
    {
        let shape = dims.to_pattern()?.name(&nameless(array.shape()))?;
        let array = ToElement::to_elements(array.into_owned().into_dyn())?;
        Tensor::from_host(shape, Element::host(array.into_shared()))
    }

    /// A host tensor from values in C order (the last dim is the fastest). This is also the way from another version of
    /// `ndarray`, or from any other library.
    ///
    /// ```
    /// use linops::{DType, Tensor, num_complex::Complex64};
    /// let x = Tensor::from_slice("Ny=2 Nx=3", &[1, 2, 3, 4, 5, 6])?;
    /// assert_eq!((x.dtype(), x.to_real_array()?[[1, 0]]), (DType::F32, 4.0));
    /// assert_eq!(Tensor::from_slice("N=2", &[Complex64::new(0.1, 1.0); 2])?.dtype(), DType::Complex32);
    /// assert!(Tensor::from_slice("N=1", &[1e60]).is_err());
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// Another number of values than the shape has, a finite value that 32-bit numbers do not reach, or no memory.
    pub fn from_slice<V: ToElement>(shape: impl ToShape, values: &[V]) -> Result<Tensor> {
        let shape = shape.to_shape()?;
        expect_count(&shape, values.len())?;
        Tensor::of_values(shape, narrowed(values.iter().copied(), values.len())?)
    }

    /// [`from_slice`](Tensor::from_slice) from a vector, which is not copied if it is of 32-bit numbers.
    ///
    /// # Errors
    /// As for `from_slice`.
    pub fn from_vec<V: ToElement>(shape: impl ToShape, values: Vec<V>) -> Result<Tensor> {
        let shape = shape.to_shape()?;
        expect_count(&shape, values.len())?;
        let array = V::to_elements(in_order(shape.extents(), values)?)?;
        Tensor::from_host(shape, Element::host(array.into_shared()))
    }

    /// The values in C order as complex numbers; real ones get a zero imaginary part.
    ///
    /// # Errors
    /// The tensor is not on the host, or there is no memory.
    pub fn to_vec(&self) -> Result<Vec<Complex32>> {
        match self.on_host()? {
            HostArray::F32(a) => collected(a.iter().map(|&x| x.into()), a.len()),
            HostArray::Complex32(a) => collected(a.iter().copied(), a.len()),
        }
    }

    /// The values of a real tensor in C order.
    ///
    /// # Errors
    /// The tensor is complex, or not on the host, or there is no memory.
    pub fn to_real_vec(&self) -> Result<Vec<f32>> {
        let a = self.real_values()?;
        collected(a.iter().copied(), a.len())
    }

    /// The values as a complex array in C order; real values get a zero imaginary part.
    ///
    /// # Errors
    /// The tensor is not on the host.
    pub fn to_array(&self) -> Result<ArrayD<Complex32>> {
        Ok(match self.on_host()? {
            HostArray::F32(a) => copied(a, |x| Complex32::new(x, 0.0))?,
            HostArray::Complex32(a) => copied(a, |x| x)?,
        })
    }

    /// The values of a real tensor as an array in C order.
    ///
    /// # Errors
    /// The tensor is complex, or not on the host.
    pub fn to_real_array(&self) -> Result<ArrayD<f32>> {
        copied(self.real_values()?, |x| x)
    }

    fn real_values(&self) -> Result<&ndarray::ArcArray<f32, ndarray::IxDyn>> {
        match self.on_host()? {
            HostArray::F32(a) => Ok(a),
            HostArray::Complex32(_) => shape_err!(
                "the tensor {} is complex, expected a real one; take its .real()?, .imag()? or .abs()?, or use to_array",
                self.shape()
            ),
        }
    }
}

/// Whether there are as many values as the shape has.
fn expect_count(shape: &crate::dim::Shape, count: usize) -> Result<()> {
    match count == shape.len() {
        true => Ok(()),
        false => shape_err!("{count} values for the shape {shape}, which has {}", shape.len()),
    }
}

/// An array of so many axes.
fn of_rank<T, D: Dimension>(array: ArrayD<T>, tensor: &Tensor) -> Result<Array<T, D>> {
    array.into_dimensionality().map_err(|_| {
        let (want, has) = (D::NDIM.unwrap_or(0), tensor.shape().rank());
        Error::Shape(format!("an array of {want} axes was asked for, the tensor {} has {has}", tensor.shape()))
    })
}

/// [`to_array`](Tensor::to_array) with a known number of axes.
///
/// ```
/// use linops::{Tensor, ndarray::{Array2, Array3}, num_complex::Complex32};
/// let x = Tensor::from_slice("Ny=2 Nx=2", &[1.0, 2.0, 3.0, 4.0])?;
/// let a: Array2<f32> = (&x).try_into()?;
/// assert_eq!(a.row(1).to_vec(), [3.0, 4.0]);
/// assert!(Array3::<Complex32>::try_from(&x).is_err());
/// # Ok::<(), linops::Error>(())
/// ```
impl<D: Dimension> TryFrom<&Tensor> for Array<Complex32, D> {
    type Error = Error;

    fn try_from(tensor: &Tensor) -> Result<Self> {
        of_rank(tensor.to_array()?, tensor)
    }
}

/// [`to_real_array`](Tensor::to_real_array) with a known number of axes.
impl<D: Dimension> TryFrom<&Tensor> for Array<f32, D> {
    type Error = Error;

    fn try_from(tensor: &Tensor) -> Result<Self> {
        of_rank(tensor.to_real_array()?, tensor)
    }
}

/// [`to_vec`](Tensor::to_vec).
impl TryFrom<&Tensor> for Vec<Complex32> {
    type Error = Error;

    fn try_from(tensor: &Tensor) -> Result<Self> {
        tensor.to_vec()
    }
}

/// [`to_real_vec`](Tensor::to_real_vec).
impl TryFrom<&Tensor> for Vec<f32> {
    type Error = Error;

    fn try_from(tensor: &Tensor) -> Result<Self> {
        tensor.to_real_vec()
    }
}
