//! A part of a tensor, and a tensor with a part replaced.

use crate::dim::Shape;
#[cfg(feature = "gpu")]
use crate::elementwise::{Axis, Copied};
use crate::error::{Error, Result, shape_err};
use crate::linop::ToStretch;
#[cfg(feature = "gpu")]
use crate::run::Kind;
use crate::tensor::{Element, HostArray, Tensor};
use ndarray::{ArcArray, Axis as ArrayAxis, IxDyn, Slice};

/// Start, number of indices and step along each axis.
type Ranges = Vec<(usize, usize, usize)>;

impl Tensor {
    /// The values at some indices of the named dims, in ranges as [`linop::slice`](crate::linop::slice()) takes them; the other dims
    /// are whole, and all keep their names. On the host this is a view; on a GPU the values are copied there.
    ///
    /// ```
    /// let x = linops::Tensor::from_slice("Ny=2 Nx=4", &[0, 1, 2, 3, 4, 5, 6, 7])?;
    /// let part = x.slice(&[("Nx", 1..3)])?;
    /// assert_eq!((part.shape().to_string().as_str(), part.to_real_vec()?), ("Ny=2 Nx=2", vec![1.0, 2.0, 5.0, 6.0]));
    /// assert_eq!(x.slice(&[("Nx", (0, 4, 3))])?.to_real_vec()?, [0.0, 3.0, 4.0, 7.0]);
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// A dim is not the tensor's or stands twice, a range does not fit its extent, or the device fails.
    pub fn slice<R: ToStretch>(&self, ranges: &[(&str, R)]) -> Result<Tensor> {
        let (ranges, shape) = self.ranges("slice", ranges)?;
        match &self.device().0 {
            #[cfg(feature = "gpu")]
            Kind::Gpu(gpu) => {
                let out = gpu.tensor(shape.clone(), self.dtype())?;
                gpu.copy_box(self, &out, &copied(self, &ranges, &shape, true))?;
                Ok(out)
            }
            _ => match self.host_array() {
                Some(HostArray::F32(a)) => Tensor::from_host(shape, HostArray::F32(viewed(a, &ranges))),
                Some(HostArray::Complex32(a)) => Tensor::from_host(shape, HostArray::Complex32(viewed(a, &ranges))),
                None => Err(Error::Device(format!("the tensor {} is not on the host", self.shape()))),
            },
        }
    }

    /// A new tensor with `part` at some indices of the named dims, and these values elsewhere: what [`slice`](Tensor::slice) takes out.
    ///
    /// ```
    /// let x = linops::Tensor::zeros("Ny=2 Nx=3", linops::DType::F32)?;
    /// let row = linops::Tensor::from_slice("Ny=1 Nx=3", &[1, 2, 3])?;
    /// let y = x.with_slice(&[("Ny", 1..2)], &row)?;
    /// assert_eq!(y.to_real_vec()?, [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`slice`](Tensor::slice); the part has another shape than the ranges, another dtype, or is on another device.
    pub fn with_slice<R: ToStretch>(&self, ranges: &[(&str, R)], part: &Tensor) -> Result<Tensor> {
        let (ranges, shape) = self.ranges("with_slice", ranges)?;
        shape.expect(part.shape()).map_err(|e| e.at("with_slice: the part"))?;
        if part.dtype() != self.dtype() {
            let (own, came) = (self.dtype(), part.dtype());
            return Err(Error::Value(format!(
                "with_slice: the part is {came}, expected {own}; convert it by .to_dtype"
            )));
        }
        if !part.device().same(&self.device()) {
            let (own, came) = (self.device_name(), part.device_name());
            return Err(Error::Device(format!(
                "with_slice: the part is on {came}, expected {own}; move it with .to(&device)"
            )));
        }
        match (&self.device().0, self.host_array(), part.host_array()) {
            #[cfg(feature = "gpu")]
            (Kind::Gpu(gpu), ..) => {
                let out = gpu.copy_of(self)?;
                gpu.copy_box(part, &out, &copied(self, &ranges, &shape, false))?;
                Ok(out)
            }
            (_, Some(HostArray::F32(a)), Some(HostArray::F32(b))) => replaced(self, a, &ranges, b),
            (_, Some(HostArray::Complex32(a)), Some(HostArray::Complex32(b))) => replaced(self, a, &ranges, b),
            _ => Err(Error::Device(format!("the tensor {} is not on the host", self.shape()))),
        }
    }

    /// The ranges of all axes, and the shape of what they take.
    fn ranges<R: ToStretch>(&self, op: &str, ranges: &[(&str, R)]) -> Result<(Ranges, Shape)> {
        let shape = self.shape();
        let mut all: Ranges = shape.extents().iter().map(|&n| (0, n, 1)).collect();
        let mut taken = vec![false; all.len()];
        for (dim, range) in ranges {
            let a = shape.require(dim.parse()?).map_err(|e| e.at(op))?;
            if std::mem::replace(&mut taken[a], true) {
                return shape_err!("{op}: dim {dim} has two ranges, expected one");
            }
            let range = range.to_stretch().map_err(|e| e.at(format!("{op}: dim {dim}")))?;
            all[a] = range.resolve(op, dim, shape.extents()[a])?;
        }
        let extents = all.iter().map(|r| r.1).collect();
        Ok((all, Shape::new(shape.dims().to_vec(), extents)?))
    }
}

/// An axis' indices as ndarray has them.
fn indices((start, count, step): (usize, usize, usize)) -> Slice {
    Slice::new(start as isize, Some((start + (count - 1) * step + 1) as isize), step as isize)
}

fn viewed<T: Clone>(a: &ArcArray<T, IxDyn>, ranges: &Ranges) -> ArcArray<T, IxDyn> {
    let mut view = a.clone();
    for (axis, range) in ranges.iter().enumerate() {
        view.slice_axis_inplace(ArrayAxis(axis), indices(*range));
    }
    view
}

fn replaced<T: Element>(
    whole: &Tensor,
    a: &ArcArray<T, IxDyn>,
    ranges: &Ranges,
    part: &ArcArray<T, IxDyn>,
) -> Result<Tensor> {
    let values = crate::allocate::collected(a.iter().copied(), a.len())?;
    let array = ndarray::ArrayD::from_shape_vec(a.raw_dim(), values);
    let mut array = array.map_err(|e| Error::Shape(e.to_string()))?;
    let mut view = array.view_mut();
    for (axis, range) in ranges.iter().enumerate() {
        view.slice_axis_inplace(ArrayAxis(axis), indices(*range));
    }
    view.assign(part);
    Tensor::from_host(whole.shape().clone(), T::host(array.into_shared()))
}

/// The box of words that a part is: from the whole to a tensor of it, or back into the whole.
#[cfg(feature = "gpu")]
fn copied(whole: &Tensor, ranges: &Ranges, part: &Shape, out: bool) -> Copied {
    let words = whole.dtype().bytes() / 4;
    let (mut first, mut axes) = (0, Vec::new());
    let (mut pitch, mut own) = (words, words);
    for (a, &(start, count, step)) in ranges.iter().enumerate().rev() {
        first += start as u64 * pitch;
        let (far, near) = (step as u64 * pitch, own);
        let (from, to) = if out { (far, near) } else { (near, far) };
        axes.push(Axis { extent: count as u64, from, to });
        pitch *= whole.shape().extents()[a] as u64;
        own *= part.extents()[a] as u64;
    }
    axes.reverse();
    axes.push(Axis { extent: words, from: 1, to: 1 });
    match out {
        true => Copied { from: first, to: 0, axes },
        false => Copied { from: 0, to: first, axes },
    }
}
