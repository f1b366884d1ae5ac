//! What `recon` reads: k-space on a grid or along a trajectory, of one image or of several.

use super::arrays::{Arrays, expect_coils_first, with_first, without_ones, without_ones_behind};
use super::axes::{Split, along_first, bart_split, cut_short, expect_none, is_chosen};
use super::input::expect_readable;
use super::samples::{Samples, Trajectory, read_samples, samples_of};
use linops::app::axes_doubt::{SecondAxis, second_axis};
use linops::io::{
    Array as AnyArray, CartesianScan, Cfl, Format, IsmrmrdScan, Reader, ScanChoice, ScanInfo, ScanStack, read_cfl,
};
use linops::{Error, Result};
use ndarray::{Array, ArrayD, Axis, Dimension};
use num_complex::Complex32;
use std::path::Path;

/// Measured k-space on a grid of 2 or 3 axes.
#[derive(Clone)]
pub struct Kspace {
    /// Values (coil, ky, kx) or (coil, kz, ky, kx).
    pub values: ArrayD<Complex32>,
    /// 1 where a location was acquired, if the file says so.
    pub sampled: Option<ArrayD<f32>>,
    /// Values to estimate coil maps from, where there are better ones; the central pixels of their maps are those of the image.
    calibration: Option<ArrayD<Complex32>>,
    /// What the file says of the scan.
    pub info: Option<ScanInfo>,
    /// What there is to say about the file.
    pub notes: Vec<String>,
    /// Which image of a stack it is.
    pub place: Option<Place>,
}

/// The place of an image in a stack.
#[derive(Clone)]
pub struct Place {
    pub index: usize,
    /// Extents of the stack's leading axes.
    pub extents: Vec<usize>,
}

impl Place {
    /// What an array with the leading axes of the stack has here.
    pub fn of<T>(&self, mut all: ArrayD<T>) -> ArrayD<T> {
        let mut index = self.index;
        for (axis, n) in self.extents.iter().enumerate().rev() {
            all = all.index_axis_move(Axis(axis), index % n);
            index /= n;
        }
        all
    }
}

impl Kspace {
    /// Of an array.
    fn plain(values: ArrayD<Complex32>, notes: Vec<String>) -> Kspace {
        Kspace { values, sampled: None, calibration: None, info: None, notes, place: None }
    }

    /// Of a scan.
    fn of(scan: CartesianScan) -> Kspace {
        let CartesianScan { kspace, sampled, calibration, info, .. } = scan;
        Kspace { values: kspace, sampled: Some(sampled), calibration, info: Some(info), notes: Vec::new(), place: None }
    }

    /// Takes what coil maps are estimated from, where that is better than the values, as finite as these are asked to be.
    pub fn reference(&mut self, path: &Path, allow_nan: bool) -> Result<Option<ArrayD<Complex32>>> {
        let (names, mut lines) = (self.names(), self.calibration.take());
        if let Some(lines) = &mut lines {
            let bad = finite(path, lines, &names, allow_nan)?;
            not_acquired(lines, &bad);
        }
        Ok(lines)
    }

    /// Extents of the grid.
    pub fn grid(&self) -> &[usize] {
        &self.values.shape()[1..]
    }

    /// The names of all axes, the coil's first.
    pub fn names(&self) -> Vec<&'static str> {
        [&["coil"], &["kz", "ky", "kx"][4 - self.values.ndim()..]].concat()
    }
}

/// The data of an image.
pub enum Input {
    /// On a grid.
    Grid(Box<Kspace>),
    /// With the coordinates of each sample.
    Samples(Box<Samples>),
}

impl Input {
    fn grid(values: ArrayD<Complex32>, notes: Vec<String>) -> Input {
        Input::Grid(Box::new(Kspace::plain(values, notes)))
    }

    /// What there is to say about it.
    pub fn notes(&mut self) -> &mut Vec<String> {
        match self {
            Input::Grid(kspace) => &mut kspace.notes,
            Input::Samples(samples) => &mut samples.notes,
        }
    }

    /// What the file says of the scan.
    pub fn info(&self) -> Option<&ScanInfo> {
        match self {
            Input::Grid(kspace) => kspace.info.as_ref(),
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
    /// What is doubtful about how the file was read.
    doubts: Vec<String>,
}

impl Inputs {
    fn new(axes: Vec<(&'static str, Vec<usize>)>, mut images: Vec<Option<Input>>, doubts: Vec<String>) -> Inputs {
        let extents: Vec<usize> = axes.iter().map(|(_, values)| values.len()).collect();
        for (index, input) in images.iter_mut().enumerate().filter(|_| !extents.is_empty()) {
            if let Some(Input::Grid(kspace)) = input {
                kspace.place = Some(Place { index, extents: extents.clone() });
            }
        }
        Inputs { axes, images, doubts }
    }

    /// What may be wrong, said once.
    pub fn warnings(&self) -> Vec<String> {
        let mut all: Vec<String> = self.doubts.clone();
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

/// Reads k-space: with a trajectory in a file of its own, samples (coil, …); else an array (coil, ky, kx), (ky, kx) of one coil, (coil,
/// kz, ky, kx), or with the axes that are named, or BART's; or the images of a scan, which may bring a trajectory.
pub fn read_inputs(
    path: &Path,
    trajectory: Option<&Trajectory>,
    arrays: &Arrays,
    choice: &ScanChoice,
) -> Result<Inputs> {
    let reader = Format::reader_of(path, holds_kspace)?;
    expect_readable(path)?;
    let mut doubts = Vec::new();
    let split = match reader {
        Reader::Scan(read) => return scans(path, read(path, choice)?, trajectory, arrays, choice),
        Reader::Picture(_) => return Err(Error::file(path, REAL)),
        Reader::Bart(_) if arrays.axes.is_some() => {
            return Err(Error::file(path, "--axes is for .npy and .npz; the dims of BART's files have their meanings"));
        }
        Reader::Bart(_) => match arrays.coil_axis {
            Some(asked) => Split::one(bart_coils_along(path, read_cfl(path)?, arrays, asked)?),
            None => bart_split(path, read_cfl(path)?, choice)?,
        },
        Reader::Array(read) => {
            let array = complex(path, read(path)?)?;
            match &arrays.axes {
                Some(axes) => axes.split(path, array, choice, trajectory.is_some())?,
                None if trajectory.is_some() => {
                    expect_none(path, choice)?;
                    Split::one(arrays.coils_first(path, array)?)
                }
                None => of_array(path, array, arrays, choice, &mut doubts)?,
            }
        }
    };
    let Split { axes, images } = split;
    let bart = matches!(reader, Reader::Bart(_));
    let images = images.into_iter().map(|image| {
        let told = bart || arrays.axes.is_some() || arrays.coil_axis.is_some();
        let input = match (trajectory, bart) {
            (Some(trajectory), _) => Input::Samples(Box::new(read_samples(path, image, trajectory, told)?)),
            (None, true) => bart_grid(path, image, arrays)?,
            (None, false) => grid(path, image, arrays)?,
        };
        Ok(Some(input))
    });
    let images = images.collect::<Result<_>>()?;
    doubts.extend(cut_short(&axes, choice));
    Ok(Inputs::new(axes, images, doubts))
}

/// The images of a scan.
fn scans(
    path: &Path,
    stack: ScanStack,
    trajectory: Option<&Trajectory>,
    arrays: &Arrays,
    choice: &ScanChoice,
) -> Result<Inputs> {
    let ScanStack { axes, images, .. } = stack;
    let images = images.into_iter().map(|scan| match scan {
        None => Ok(None),
        Some(IsmrmrdScan::Cartesian(_)) if trajectory.is_some() => {
            Err(Error::file(path, "its header says that it is Cartesian; leave --traj out"))
        }
        Some(IsmrmrdScan::Cartesian(scan)) => Ok(Some(Input::Grid(Box::new(Kspace::of(scan))))),
        Some(IsmrmrdScan::NonCartesian(scan)) => {
            Ok(Some(Input::Samples(Box::new(samples_of(path, scan, trajectory, arrays)?))))
        }
    });
    let images = images.collect::<Result<_>>()?;
    let doubts = cut_short(&axes, choice);
    Ok(Inputs::new(axes, images, doubts))
}

/// The images of an array whose axes nobody names: a slice, a volume, or slices where the data or a choice of them say so.
fn of_array(
    path: &Path,
    array: ArrayD<Complex32>,
    arrays: &Arrays,
    choice: &ScanChoice,
    doubts: &mut Vec<String>,
) -> Result<Split> {
    if arrays.coil_axis.is_some() {
        expect_none(path, choice)?;
        return Ok(Split::one(without_ones_behind(arrays.coils_first(path, array)?, 3)));
    }
    if is_chosen(choice) && array.ndim() == 4 {
        return along_first(path, array, choice, "slice");
    }
    expect_none(path, choice)?;
    if let [many, 1, _, _] = *array.shape()
        && many > 1
    {
        doubts.push(format!(
            "{:?} is read as {many} coils of (ky, kx); if it is {many} slices of one coil each, --axes slice,coil,ky,kx says so",
            array.shape()
        ));
    }
    let array = match array.shape() {
        [first, behind @ ..] if array.ndim() != 4 || *first == 1 || behind.contains(&1) => without_ones(array, 3),
        _ => array,
    };
    if array.ndim() > 4 {
        let message = format!(
            "k-space with {} axes {:?}, expected (coil, ky, kx) or (coil, kz, ky, kx); say what they are, as in --axes \
             slice,coil,ky,kx",
            array.ndim(),
            array.shape()
        );
        return Err(Error::file(path, message));
    }
    if array.ndim() == 4 && second_axis(array.view()) == SecondAxis::Coils {
        let (slices, coils) = (array.len_of(Axis(0)), array.len_of(Axis(1)));
        doubts.push(format!(
            "{:?} is read as (slice, coil, ky, kx), {slices} slices of {coils} coils: its second axis has no centre of k-space, as \
             one of partitions has; --axes slice,coil,ky,kx says so (of frames --time), --axes coil,kz,ky,kx that it is a volume",
            array.shape()
        ));
        return along_first(path, array, choice, "slice");
    }
    Ok(Split::one(array))
}

/// k-space of an array (coil, …), or (ky, kx) of one coil.
fn grid(path: &Path, array: ArrayD<Complex32>, arrays: &Arrays) -> Result<Input> {
    let told = arrays.coil_axis.is_some() || arrays.axes.is_some();
    match array.ndim() {
        2 => return Ok(Input::grid(array.insert_axis(Axis(0)), vec!["(ky, kx) of one coil".to_string()])),
        3 | 4 => {}
        n => {
            let message =
                format!("k-space with {n} axes {:?}, expected (coil, ky, kx) or (coil, kz, ky, kx)", array.shape());
            return Err(Error::file(path, message));
        }
    }
    if !told {
        expect_coils_first(path, array.shape(), |axis| match axis {
            Some(axis) => format!(
                "give --coil-axis {axis}, or move it by numpy.moveaxis(k, {axis}, 0); --coil-axis 0 if it is the first"
            ),
            None => "give --coil-axis N to say which it is, or move it by numpy.moveaxis(k, N, 0)".into(),
        })?;
    }
    let mut notes = Vec::new();
    if array.ndim() == 4 && !told {
        notes.push("a volume (coil, kz, ky, kx); of slices give --slice all, of a series of frames --time".to_string());
    }
    Ok(Input::grid(array, notes))
}

/// The k-space of BART's dims, with its coils along a dim that is named.
fn bart_coils_along(path: &Path, cfl: Cfl, arrays: &Arrays, asked: i32) -> Result<ArrayD<Complex32>> {
    let Cfl { dims, array } = cfl;
    let dim = arrays.place(path, asked, dims.len().max(4))?;
    // All dims reversed, with those of 1 at the end that the array leaves out.
    let shape: Vec<usize> = (0..dims.len().max(4)).rev().map(|d| dims.get(d).copied().unwrap_or(1)).collect();
    let count = shape.len();
    let array = array.into_shape_with_order(shape).map_err(|e| Error::file(path, e.to_string()))?;
    // A coil dim of 1 stays: there are 1s behind it that go first.
    Ok(without_ones_behind(with_first(array, count - 1 - dim), 3))
}

/// k-space (coil, z, y, x) of BART's dims: of three axes a volume, else the plane that it has.
fn bart_grid(path: &Path, array: ArrayD<Complex32>, arrays: &Arrays) -> Result<Input> {
    let wrong = |e: ndarray::ShapeError| Error::file(path, e.to_string());
    if let Some(dim) = arrays.coil_axis {
        if array.ndim() != 3 {
            let message =
                format!("k-space with the coils along dim {dim} has the axes {:?}, expected a plane", array.shape());
            return Err(Error::file(path, message));
        }
        let note = format!("the coils along BART dim {dim}: (ky, kx) of {:?}", &array.shape()[1..]);
        return Ok(Input::grid(array, vec![note]));
    }
    let &[coils, z, y, x] = array.shape() else {
        return Err(Error::file(path, format!("BART k-space of {:?}", array.shape())));
    };
    let plane = match [x, y, z] {
        [x, y, 1] => [y, x],
        [1, y, z] => [z, y],
        [x, 1, z] => [z, x],
        _ => return Ok(Input::grid(array, Vec::new())),
    };
    let shape = vec![coils, plane[0], plane[1]];
    expect_coils_first(path, &shape, |_| {
        format!(
            "BART's dims are (x, y, 1, coil) or (1, y, z, coil), these are ({x}, {y}, {z}, {coils}); give --coil-axis D to say which \
             dim it is (3 if it is), or use `bart transpose D 3`"
        )
    })?;
    let mut notes = Vec::new();
    if z != 1 {
        let axes = if x == 1 { "(z, y)" } else { "(z, x)" };
        notes.push(format!("BART dims ({x}, {y}, {z}, {coils}): the image is {axes}"));
    }
    Ok(Input::grid(array.into_shape_with_order(shape).map_err(wrong)?, notes))
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
    array.expect_in_range(path)?;
    Ok(array.into_complex())
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

/// Refuses NaN and infinity; or, if they are allowed, makes them 0 and gives their places. Axes without a name in `dims` are
/// numbered.
pub fn finite<D: Dimension>(
    path: &Path,
    values: &mut Array<Complex32, D>,
    dims: &[&str],
    allow: bool,
) -> Result<Vec<Vec<usize>>> {
    finite_within(path, values, None, dims, allow)
}

/// The same of the part of an array at this index of an axis in front.
pub fn finite_within<D: Dimension>(
    path: &Path,
    values: &mut Array<Complex32, D>,
    part: Option<(&str, usize)>,
    dims: &[&str],
    allow: bool,
) -> Result<Vec<Vec<usize>>> {
    let mut found = Vec::new();
    let extents = values.shape().to_vec();
    for (index, v) in values.iter_mut().enumerate().filter(|(_, v)| !v.is_finite()) {
        let at = unravel(index, &extents);
        if !allow {
            let name = |axis: usize| {
                dims.get(axis)
                    .map_or_else(|| format!("axis {}", axis + usize::from(part.is_some())), |name| name.to_string())
            };
            let front = part.iter().map(|(name, n)| format!("{name}={n}"));
            let place = front.chain(at.iter().enumerate().map(|(axis, n)| format!("{}={n}", name(axis))));
            let place: Vec<String> = place.collect();
            let message = format!("NaN or infinity at [{}]; correct the data, or give --allow-nan", place.join(", "));
            return Err(Error::file(path, message));
        }
        *v = Complex32::default();
        found.push(at);
    }
    Ok(found)
}

/// Makes 0 in all coils (coil, …) what is bad in any: it counts as not acquired.
pub fn not_acquired(values: &mut ArrayD<Complex32>, bad: &[Vec<usize>]) {
    for at in bad {
        for mut coil in values.outer_iter_mut() {
            coil[&at[1..]] = Complex32::default();
        }
    }
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
