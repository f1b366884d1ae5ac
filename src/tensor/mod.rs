//! Tensors: named dims, an element type, and values on one device.
//!
//! A tensor lives on the host (an `ndarray`, any strides) or on a GPU (C order, opaque here, implemented by the `gpu` room)
//! and says so. Moving it is always explicit: [`Tensor::to`](crate::Tensor::to).

mod display;
mod element;
mod search;
mod values;

pub use element::{Element, ToElement};
pub(crate) use search::first_where;

use crate::allocate::{collected, spare, zeroed};
use crate::dim::{Dim, Shape, ToDims, ToShape, called};
use crate::error::{Error, Result, shape_err};
use bytemuck::Pod;
use ndarray::{ArcArray, ArrayD, IxDyn};
use num_complex::Complex32;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DType {
    /// 32-bit real.
    F32,
    /// Complex of two 32-bit floats: re, im.
    Complex32,
}

impl DType {
    /// Bytes of one element.
    pub fn bytes(self) -> u64 {
        match self {
            DType::F32 => 4,
            DType::Complex32 => 8,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "float32",
            DType::Complex32 => "complex64",
        })
    }
}

/// Kept to this crate: tensors are moved and computed with where the crate knows the device.
pub trait Sealed {}

/// Values on a device other than the host: a [`GpuBuffer`](crate::gpu::GpuBuffer).
pub trait DeviceBuffer: Sealed + fmt::Debug + Send + Sync {
    /// What the device is called in messages.
    fn device_name(&self) -> String;
    /// Bytes of memory.
    fn bytes(&self) -> u64;
    /// The implementation itself.
    fn as_any(&self) -> &dyn Any;
}

/// Values on the host: an array of any strides.
#[derive(Clone)]
pub enum HostArray {
    /// Real values.
    F32(ArcArray<f32, IxDyn>),
    /// Complex values.
    Complex32(ArcArray<Complex32, IxDyn>),
}

#[derive(Clone)]
enum Storage {
    Host(Held),
    Device(Arc<dyn DeviceBuffer>),
}

/// A tensor's values on the host. With the last handle the memory of a large result is spare: the next one may be as large, which
/// nobody knows of what users and files bring.
#[derive(Clone)]
struct Held {
    values: HostArray,
    result: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        fn give<T: Pod>(a: &mut ArcArray<T, IxDyn>) {
            if a.len() * size_of::<T>() >= spare::LARGE {
                let gone = std::mem::replace(a, ArcArray::from(Vec::new()).into_dyn());
                // Values that others hold stay where they are.
                if let Ok(owned) = gone.try_into_owned_nocopy() {
                    spare::give(owned.into_raw_vec_and_offset().0);
                }
            }
        }
        match &mut self.values {
            _ if !self.result => {}
            HostArray::F32(a) => give(a),
            HostArray::Complex32(a) => give(a),
        }
    }
}

/// A tensor with named dims. Cloning shares the values.
///
/// ```
/// use linops::{Tensor, DType};
/// let x = Tensor::from_array(ndarray::array![[1.0f32, 2.0], [3.0, 4.0]], "Ny Nx")?;
/// assert_eq!(x.shape().to_string(), "Ny=2 Nx=2");
/// assert_eq!((x.dtype(), x.device_name()), (DType::F32, "host".to_string()));
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone)]
pub struct Tensor {
    shape: Shape,
    dtype: DType,
    storage: Storage,
}

impl HostArray {
    fn dtype(&self) -> DType {
        match self {
            HostArray::F32(_) => DType::F32,
            HostArray::Complex32(_) => DType::Complex32,
        }
    }

    fn extents(&self) -> &[usize] {
        match self {
            HostArray::F32(a) => a.shape(),
            HostArray::Complex32(a) => a.shape(),
        }
    }
}

/// Values in C order as an array of these extents.
fn in_order<T>(extents: &[usize], values: Vec<T>) -> Result<ArrayD<T>> {
    ArrayD::from_shape_vec(IxDyn(extents), values).map_err(|e| Error::Shape(e.to_string()))
}

/// Each value through `f`, in C order.
fn copied<T: Copy, V>(a: &ArcArray<T, IxDyn>, f: impl Fn(T) -> V) -> Result<ArrayD<V>> {
    let values = match a.as_slice() {
        Some(all) => collected(all.iter().map(|&x| f(x)), all.len()),
        None => collected(a.iter().map(|&x| f(x)), a.len()),
    };
    in_order(a.shape(), values?)
}

impl Tensor {
    /// A host tensor.
    ///
    /// # Errors
    /// The array's extents are not the shape's.
    pub fn from_host(shape: impl ToShape, array: HostArray) -> Result<Tensor> {
        let shape = shape.to_shape()?;
        shape.expect_extents(array.extents())?;
        Ok(Tensor { shape, dtype: array.dtype(), storage: Storage::Host(Held { values: array, result: false }) })
    }

    /// A host tensor of values in C order that an operator has made.
    pub(crate) fn of_result<E: Element>(shape: Shape, values: Vec<E>) -> Result<Tensor> {
        let mut tensor = Tensor::of_values(shape, values)?;
        if let Storage::Host(held) = &mut tensor.storage {
            held.result = true;
        }
        Ok(tensor)
    }

    /// Zeros on the host.
    ///
    /// # Errors
    /// The shape is not one, or there is no memory for it.
    pub fn zeros(shape: impl ToShape, dtype: DType) -> Result<Tensor> {
        let shape = shape.to_shape()?;
        let n = shape.len();
        match dtype {
            DType::F32 => Tensor::of_values(shape, zeroed::<f32>(n)?),
            DType::Complex32 => Tensor::of_values(shape, zeroed::<Complex32>(n)?),
        }
    }

    /// A host tensor of values in C order.
    pub(crate) fn of_values<E: Element>(shape: Shape, values: Vec<E>) -> Result<Tensor> {
        let array = in_order(shape.extents(), values)?;
        Tensor::from_host(shape, E::host(array.into_shared()))
    }

    /// A tensor in a device's buffer, which holds the values in C order from its start on: another view of what a
    /// [`device_buffer`](Tensor::device_buffer) holds.
    ///
    /// # Errors
    /// The buffer is shorter than the tensor.
    pub fn from_device(shape: impl ToShape, dtype: DType, buffer: Arc<dyn DeviceBuffer>) -> Result<Tensor> {
        let shape = shape.to_shape()?;
        let needed = (shape.len() as u64).saturating_mul(dtype.bytes());
        match buffer.bytes() < needed {
            true => shape_err!("the buffer has {} bytes, a {dtype} tensor {shape} needs {needed}", buffer.bytes()),
            false => Ok(Tensor { shape, dtype, storage: Storage::Device(buffer) }),
        }
    }

    /// Dims and extents.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Number of elements from one index to the next, for each axis.
    pub fn strides(&self) -> Vec<isize> {
        match &self.storage {
            Storage::Host(Held { values: HostArray::F32(a), .. }) => a.strides().to_vec(),
            Storage::Host(Held { values: HostArray::Complex32(a), .. }) => a.strides().to_vec(),
            // C order, so each stride is the product of the extents behind.
            Storage::Device(_) => {
                let e = self.shape.extents();
                (0..e.len()).map(|a| e[a + 1..].iter().product::<usize>() as isize).collect()
            }
        }
    }

    /// Where the values are: "host", or the adapter's name.
    pub fn device_name(&self) -> String {
        match &self.storage {
            Storage::Host(_) => "host".into(),
            Storage::Device(b) => b.device_name(),
        }
    }

    /// The values, if they are on the host.
    pub fn host_array(&self) -> Option<&HostArray> {
        match &self.storage {
            Storage::Host(held) => Some(&held.values),
            Storage::Device(_) => None,
        }
    }

    /// The values' buffer, if they are on another device.
    pub fn device_buffer(&self) -> Option<&Arc<dyn DeviceBuffer>> {
        match &self.storage {
            Storage::Host(_) => None,
            Storage::Device(b) => Some(b),
        }
    }

    fn on_host(&self) -> Result<&HostArray> {
        self.host_array().ok_or_else(|| {
            let name = self.device_name();
            Error::Device(format!("the tensor {} is on {name}; move it with .to(&Device::host()) first", self.shape))
        })
    }

    /// The same values under other dim names, in order; `...` stands for those that stay as they are: `"... Kx"`.
    ///
    /// # Errors
    /// Another number of names than dims, a repeated one, or an extent that is not the tensor's.
    pub fn renamed(&self, dims: impl ToDims) -> Result<Tensor> {
        let shape = dims.to_pattern()?.name(&called(self.shape.dims(), self.shape.extents()))?;
        Ok(Tensor { shape, ..self.clone() })
    }

    /// The same values with the axes in another order, by name. On the host this is a view; nothing is copied.
    ///
    /// # Errors
    /// The names are not those of this tensor, or it is not on the host.
    pub fn permuted(&self, dims: impl ToDims) -> Result<Tensor> {
        let dims: Vec<Dim> = dims.to_dims()?;
        if dims.len() != self.shape.rank() {
            return shape_err!(
                "\"{}\" orders {} dims, {} has {}",
                crate::dim::join(&dims),
                dims.len(),
                self.shape,
                self.shape.rank()
            );
        }
        let order = dims.iter().map(|d| self.shape.require(*d)).collect::<Result<Vec<_>>>()?;
        let extents = order.iter().map(|&a| self.shape.extents()[a]).collect();
        let array = match self.on_host()?.clone() {
            HostArray::F32(a) => HostArray::F32(a.permuted_axes(IxDyn(&order))),
            HostArray::Complex32(a) => HostArray::Complex32(a.permuted_axes(IxDyn(&order))),
        };
        Tensor::from_host(Shape::new(dims, extents)?, array)
    }

    /// The index of the first value that is NaN or infinite, if any; only for host tensors.
    pub fn first_non_finite(&self) -> Option<Vec<usize>> {
        match self.host_array()? {
            HostArray::F32(a) => first_where(&a.view(), |x| !x.is_finite()).map(|(at, _)| at),
            HostArray::Complex32(a) => first_where(&a.view(), |x| !x.is_finite()).map(|(at, _)| at),
        }
    }
}
