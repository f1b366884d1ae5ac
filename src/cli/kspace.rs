//! What `recon` reads of Cartesian data: k-space, coil maps and mask, checked against each other.

use super::arrays::{Arrays, expect_coils_first, with_first, without_ones, without_ones_behind};
use super::grids::{Volume, read_volume};
use super::input::{expect_readable, is_bart, read};
use super::samples::{Samples, Trajectory, read_samples, samples_of};
use linops::io::{
    Array as AnyArray, CartesianScan, Cfl, Format, IsmrmrdScan, Reader, ScanChoice, ScanInfo, ScanStack, cfl_kspace,
    read_cfl,
};
use linops::{Error, Result};
use ndarray::{Array, Array2, Array3, ArrayD, Axis, Dimension, Ix2, Ix3, IxDyn};
use num_complex::Complex32;
use std::path::Path;

/// Measured k-space.
pub struct Kspace {
    /// Values (coil, ky, kx).
    pub values: Array3<Complex32>,
    /// 1 where (ky, kx) was acquired, if the file says so.
    pub sampled: Option<Array2<f32>>,
    /// Values of the reference lines (coil, ky, kx), where they are not all of the image.
    pub calibration: Option<Array3<Complex32>>,
    /// What the file says of the scan.
    pub info: Option<ScanInfo>,
    /// What there is to say about the file.
    pub notes: Vec<String>,
}

impl Kspace {
    /// Of an array.
    pub fn plain(values: Array3<Complex32>, notes: Vec<String>) -> Kspace {
        Kspace { values, sampled: None, calibration: None, info: None, notes }
    }

    /// Of a scan of two axes.
    fn of(path: &Path, scan: CartesianScan) -> Result<Kspace> {
        let CartesianScan { kspace, sampled, calibration, info, .. } = scan;
        let calibration = calibration.map(|lines| with_rank::<_, Ix3>(path, lines, "k-space", "coil, ky, kx"));
        Ok(Kspace {
            values: with_rank::<_, Ix3>(path, kspace, "k-space", "coil, ky, kx")?,
            sampled: Some(with_rank::<_, Ix2>(path, sampled, "the mask", "ky, kx")?),
            calibration: calibration.transpose()?,
            info: Some(info),

            notes: Vec::new(),
        })
    }
}

/// The data of a scan.
pub enum Input {
    /// Cartesian.
    Grid(Box<Kspace>),
    /// Cartesian, with partition encoding.
    Volume(Box<Volume>),
    /// With the coordinates of each sample.
    Samples(Box<Samples>),
}

impl Input {
    /// What the file says of the scan.
    pub fn info(&self) -> Option<&ScanInfo> {
        match self {
            Input::Grid(kspace) => kspace.info.as_ref(),
            Input::Volume(volume) => volume.info.as_ref(),
            Input::Samples(samples) => samples.info.as_ref(),
        }
    }
}

/// The data of one image, or of several.
pub struct Inputs {
    /// The leading axes of several, by name, with what their indices stand for.
    pub axes: Vec<(&'static str, Vec<usize>)>,
    /// The images, the last axis fastest; `None` where there is no data.
    pub images: Vec<Option<Input>>,
}

impl Inputs {
    fn one(input: Input) -> Inputs {
        Inputs { axes: Vec::new(), images: vec![Some(input)] }
    }

    /// What may be wrong, said once.
    pub fn warnings(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for input in self.images.iter().flatten() {
            for warning in input.info().map_or(&[][..], |info| &info.warnings) {
                if !all.contains(warning) {
                    all.push(warning.clone());
                }
            }
        }
        all
    }
}

/// Reads k-space: with a trajectory in a file of its own, as [`read_samples`] does; else an array (coil, ky, kx), or (ky, kx) of one
/// coil, BART's (x, y, 1, coil), the same with kz, or the images of a scan, which may bring a trajectory.
pub fn read_inputs(
    path: &Path,
    trajectory: Option<&Trajectory>,
    arrays: &Arrays,
    choice: &ScanChoice,
) -> Result<Inputs> {
    if trajectory.is_none()
        && arrays.coil_axis.is_none()
        && let Some(volume) = read_volume(path)?
    {
        return Ok(Inputs::one(Input::Volume(Box::new(volume))));
    }
    let reader = Format::reader_of(path, holds_kspace)?;
    if let (Some(trajectory), false) = (trajectory, matches!(reader, Reader::Scan(_))) {
        return Ok(Inputs::one(Input::Samples(Box::new(read_samples(path, trajectory, arrays)?))));
    }
    let plain = |(values, notes)| Ok(Inputs::one(Input::Grid(Box::new(Kspace::plain(values, notes)))));
    expect_readable(path)?;
    match reader {
        Reader::Array(read) => plain(grid(path, complex(path, read(path)?)?, arrays)?),
        Reader::Bart(_) => plain(bart_grid(path, arrays)?),
        Reader::Scan(read) => scans(path, read(path, choice)?, trajectory, arrays),
        Reader::Picture(_) => Err(Error::file(path, REAL)),
    }
}

/// The images of a scan.
fn scans(path: &Path, stack: ScanStack, trajectory: Option<&Trajectory>, arrays: &Arrays) -> Result<Inputs> {
    let ScanStack { axes, images, .. } = stack;
    let images = images.into_iter().map(|scan| match scan {
        None => Ok(None),
        Some(IsmrmrdScan::Cartesian(_)) if trajectory.is_some() => {
            Err(Error::file(path, "its header says that it is Cartesian; leave --traj out"))
        }
        Some(IsmrmrdScan::Cartesian(scan)) if scan.kspace.ndim() == 4 => {
            Ok(Some(Input::Volume(Box::new(Volume::of(scan)))))
        }
        Some(IsmrmrdScan::Cartesian(scan)) => Ok(Some(Input::Grid(Box::new(Kspace::of(path, scan)?)))),
        Some(IsmrmrdScan::NonCartesian(scan)) => {
            Ok(Some(Input::Samples(Box::new(samples_of(path, scan, trajectory, arrays)?))))
        }
    });
    let images = images.collect::<Result<_>>()?;
    Ok(Inputs { axes, images })
}

/// k-space (coil, ky, kx) of an array, and what there is to say about it.
fn grid(path: &Path, array: ArrayD<Complex32>, arrays: &Arrays) -> Result<(Array3<Complex32>, Vec<String>)> {
    let mut notes = Vec::new();
    let array = match arrays.coil_axis {
        Some(_) => without_ones_behind(arrays.coils_first(path, array)?, 3),
        None => without_ones(array, 3),
    };
    if array.ndim() == 2 {
        notes.push("(ky, kx) of one coil".to_string());
        return Ok((with_rank(path, array.insert_axis(Axis(0)), "k-space", "coil, ky, kx")?, notes));
    }
    let values = with_rank::<_, Ix3>(path, array, "k-space", "coil, ky, kx")?;
    if arrays.coil_axis.is_none() {
        expect_coils_first(path, values.shape(), |axis| match axis {
            Some(axis) => format!(
                "give --coil-axis {axis}, or move it by numpy.moveaxis(k, {axis}, 0); --coil-axis 0 if it is the first"
            ),
            None => "give --coil-axis N to say which it is, or move it by numpy.moveaxis(k, N, 0)".into(),
        })?;
    }
    Ok((values, notes))
}

/// The same of BART's dims.
fn bart_grid(path: &Path, arrays: &Arrays) -> Result<(Array3<Complex32>, Vec<String>)> {
    let cfl = read_cfl(path)?;
    let dims: Vec<usize> = (0..cfl.dims.len().max(4)).map(|d| cfl.dims.get(d).copied().unwrap_or(1)).collect();
    let said: Vec<String> = dims.iter().take(4).map(usize::to_string).collect();
    let said = said.join(", ");
    if let Some(asked) = arrays.coil_axis {
        let dim = arrays.place(path, asked, dims.len())?;
        let Cfl { array, .. } = cfl;
        // All dims reversed, with those of 1 at the end that the array leaves out.
        let shape: Vec<usize> = dims.iter().rev().copied().collect();
        let array = array.into_shape_with_order(shape).map_err(|e| Error::file(path, e.to_string()))?;
        // A coil dim of 1 stays: there are 1s behind it that go first.
        let array = with_first(array, dims.len() - 1 - dim);
        let values = with_rank::<_, Ix3>(path, without_ones_behind(array, 3), "k-space", "coil, ky, kx")?;
        let note = format!("BART dims ({said}), the coils along dim {dim}: (ky, kx) of {:?}", &values.shape()[1..]);
        return Ok((values, vec![note]));
    }
    let values = cfl.into_kspace(path)?;
    expect_coils_first(path, values.shape(), |_| {
        format!(
            "BART's dims are (x, y, 1, coil) or (1, y, z, coil), these are ({said}); give --coil-axis D to say which dim it is (3 \
                 if it is), or use `bart transpose D 3`"
        )
    })?;
    let mut notes = Vec::new();
    if dims[2] != 1 {
        let axes = if dims[0] == 1 { "(z, y)" } else { "(z, x)" };
        notes.push(format!("BART dims ({said}): the image is {axes}"));
    }
    Ok((values, notes))
}

/// Whether a format can hold k-space: a picture has no phase.
pub fn holds_kspace(reader: &Reader) -> bool {
    !matches!(reader, Reader::Picture(_))
}

/// What is wrong with a picture for k-space.
pub const REAL: &str = "is a picture; k-space is complex";

/// The values of k-space, which must be complex.
pub fn complex(path: &Path, array: AnyArray) -> Result<ArrayD<Complex32>> {
    if !matches!(array, AnyArray::C32(_) | AnyArray::C64(_)) {
        let message = format!("k-space of dtype {}, expected complex values (c8 or c16)", array.dtype_name());
        return Err(Error::file(path, message));
    }
    Ok(array.into_complex())
}

/// Reads coil maps (coil, y, x) that fit the k-space; of which axis the coils are is seen where only one makes them fit.
pub fn read_maps(path: &Path, kspace: &Kspace, arrays: &Arrays, notes: &mut Vec<String>) -> Result<Array3<Complex32>> {
    let mut maps = match is_bart(path) {
        true => cfl_kspace(path)?.into_dyn(),
        false => read(path)?.into_complex(),
    };
    let want = kspace.values.shape();
    if maps.ndim() == 2 && want[0] == 1 {
        maps = maps.insert_axis(Axis(0));
    }
    maps = without_ones(maps, 3);
    let fits = |axis: usize| {
        axis < maps.ndim() && {
            let mut shape = maps.shape().to_vec();
            let coils = shape.remove(axis);
            coils == want[0] && shape == want[1..]
        }
    };
    let asked = arrays.coil_axis.filter(|_| !is_bart(path)).map(|axis| arrays.place(path, axis, maps.ndim()));
    let axis = [asked.transpose()?, Some(0)].into_iter().flatten().chain(1..3).find(|axis| fits(*axis));
    if let Some(axis) = axis.filter(|axis| *axis != 0) {
        maps = with_first(maps, axis);
        notes.push(format!("the coils are along axis {axis} of the maps"));
    }
    let maps = with_rank::<_, Ix3>(path, maps, "coil maps", "coil, y, x")?;
    let (coils, ky, kx) = kspace.values.dim();
    expect(path, "maps", &[("C", coils), ("Ny", ky), ("Nx", kx)], maps.shape())?;
    Ok(maps)
}

/// Reads a mask (ky, kx) of zeros and ones, of any dtype, that fits the k-space; or one of lines (ky), else (kx), which is the same for
/// all samples of a line.
pub fn read_mask(path: &Path, kspace: &Kspace, notes: &mut Vec<String>) -> Result<Array2<f32>> {
    let (_, ky, kx) = kspace.values.dim();
    let mut values = without_ones(exact(read(path)?), 2);
    if values.ndim() == 2 && values.shape() != [ky, kx] {
        values = without_ones(values, 1);
    }
    if let &[n] = values.shape() {
        let (lines, axis) = match n {
            n if n == ky => (values.insert_axis(Axis(1)), "ky"),
            n if n == kx => (values.insert_axis(Axis(0)), "kx"),
            n => {
                let message = format!("mask of {n} values, expected (ky, kx) of [{ky}, {kx}], or {ky} along ky");
                return Err(Error::file(path, message));
            }
        };
        notes.push(format!("the mask is along {axis}"));
        values = lines.broadcast(IxDyn(&[ky, kx])).map(|m| m.to_owned()).unwrap_or(lines);
    }
    let mask = with_rank::<_, Ix2>(path, values, "mask", "ky, kx")?;
    expect(path, "mask", &[("Ky", ky), ("Kx", kx)], mask.shape())?;
    if let Some(((y, x), v)) = mask.indexed_iter().find(|(_, v)| **v != 0.0 && **v != 1.0) {
        let message = format!("the mask is {v:?} at [ky={y}, kx={x}]; expected 0 (not sampled) or 1 (sampled)");
        return Err(Error::file(path, message));
    }
    Ok(mask.mapv(|v| v as f32))
}

/// Values in f64, so that nothing is rounded to 0 or 1; NaN where there is an imaginary part.
pub fn exact(array: AnyArray) -> ArrayD<f64> {
    let real = |re: f64, im: f64| if im == 0.0 { re } else { f64::NAN };
    match array {
        AnyArray::F32(a) => a.mapv(f64::from),
        AnyArray::F64(a) => a,
        AnyArray::I64(a) => a.mapv(|v| v as f64),
        AnyArray::U8(a) => a.mapv(f64::from),
        AnyArray::C32(a) => a.mapv(|v| real(v.re.into(), v.im.into())),
        AnyArray::C64(a) => a.mapv(|v| real(v.re, v.im)),
    }
}

fn with_rank<T, D: Dimension>(path: &Path, array: ArrayD<T>, what: &str, dims: &str) -> Result<Array<T, D>> {
    let extents = array.shape().to_vec();
    array.into_dimensionality::<D>().map_err(|_| {
        let n = D::NDIM.unwrap_or(0);
        Error::file(path, format!("{what} with {} axes {extents:?}, expected {n}: ({dims})", extents.len()))
    })
}

fn expect(path: &Path, what: &str, dims: &[(&str, usize)], came: &[usize]) -> Result<()> {
    for ((dim, want), came) in dims.iter().zip(came) {
        if want != came {
            let message = format!("dim {dim} of the {what} has extent {came}, expected {want} from the k-space");
            return Err(Error::file(path, message));
        }
    }
    Ok(())
}

/// Refuses NaN and infinity; or, if they are allowed, makes them 0 and gives their places. Axes without a name in `dims` are
/// numbered.
pub fn finite<D: Dimension>(
    path: &Path,
    values: &mut Array<Complex32, D>,
    dims: &[&str],
    allow: bool,
) -> Result<Vec<Vec<usize>>> {
    let mut found = Vec::new();
    let extents = values.shape().to_vec();
    for (index, v) in values.iter_mut().enumerate().filter(|(_, v)| !v.is_finite()) {
        let at = unravel(index, &extents);
        if !allow {
            let name = |axis: usize| dims.get(axis).map_or_else(|| format!("axis {axis}"), |name| name.to_string());
            let place: Vec<String> = at.iter().enumerate().map(|(axis, n)| format!("{}={n}", name(axis))).collect();
            let message = format!("NaN or infinity at [{}]; correct the data, or give --allow-nan", place.join(", "));
            return Err(Error::file(path, message));
        }
        *v = Complex32::default();
        found.push(at);
    }
    Ok(found)
}

/// The place of the `index`-th element in C order.
fn unravel(mut index: usize, extents: &[usize]) -> Vec<usize> {
    let mut at = vec![0; extents.len()];
    for (place, n) in at.iter_mut().zip(extents).rev() {
        *place = index % n;
        index /= n;
    }
    at
}
