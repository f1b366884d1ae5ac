//! Tomographic projection: integrals along the rays of a scan.

use super::{Linop, Operator, SavedArray, Saver};
use crate::access::{Constant, ConstantData, ValueId};
use crate::dim::{Dim, Shape, ToDims, ToShape, join, parse_dims};
use crate::error::{Result, shape_err};
use crate::ir::Builder;
use crate::primitive::project::Scan;
pub use crate::primitive::project::{Beam, Geometry};

/// y[view, (row,) detector] = ∫ x along the ray: the X-ray transform of an image of rows and columns, `"Ny Nx"`, or for a cone of
/// slices, rows and columns, `"Nz Ny Nx"`. These dims leave; views, (rows,) and detectors come last; `out` names the output dims.
///
/// Joseph's method (IEEE Trans. Med. Imaging 1:192, 1982): a ray is walked pixel by pixel along the axis that it runs along more,
/// its value there is interpolated between the two pixels that it lies between (four in a volume), and the sum is multiplied by
/// the length of a step. Values are in the unit of x times that of the pixel size. The adjoint is exact: a pixel gets from each ray
/// what the ray has taken of it, with the same weights to the last bit. Ray positions are rounded to 2⁻¹⁶ pixels.
///
/// Where source, detector and axis stand, and which way angles turn, is said at [`Geometry`].
///
/// The normal is both: a projection, then its adjoint. Each is one pass, of about 2 pixels (4 in a volume) for each step of
/// each ray: the pixels along one axis, for every view and detector. [Splits](Linop::split) along the views and the dims that
/// stay.
///
/// ```
/// use linops::linop::{self, Geometry};
/// use linops::Tensor;
/// let angles = [0.0, std::f64::consts::FRAC_PI_2];
/// let a = linop::projection("Y=2 X=3", "Y X", &Geometry::parallel(&angles, 3), "A D")?;
/// let x = Tensor::from_array(ndarray::array![[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]], "Y X")?;
/// let y = a.apply(&x)?.to_real_array()?;
/// // At angle 0 sums of columns; a quarter turn on, sums of rows from below, between the three detector pixels.
/// assert_eq!(y.as_slice(), Some(&[5.0f32, 7.0, 9.0, 7.5, 10.5, 3.0][..]));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// `axes` names another number of dims than the geometry takes, or one that is not in the input; `out` names another number of dims
/// than there are; the geometry is none, or its source lies within the image.
pub fn projection(input: impl ToShape, axes: impl ToDims, geometry: &Geometry, out: &str) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("projection"))?);
    let input = input.to_shape()?;
    let order = order(&input, &parse_dims(axes)?, geometry, "projection")?;
    let (kept, image) = order.split_at(order.len() - image_rank(geometry));
    let extents = |axes: &[usize]| axes.iter().map(|&a| input.extents()[a]).collect::<Vec<usize>>();
    let scan = Scan::new(geometry, &extents(image)).map_err(|e| e.at("projection"))?;
    scan.expect_room()?;
    let all: Vec<usize> = extents(kept).into_iter().chain(geometry.data()).collect();
    let dims = parse_dims(out)?;
    if dims.len() != all.len() {
        return shape_err!(
            "projection: out \"{out}\" names {} dims, expected {} of extents {all:?}",
            dims.len(),
            all.len()
        );
    }
    let output = Shape::new(dims, all).map_err(|e| e.at("projection"))?;
    let slants = slants(&scan)?;
    let details = format!("{axes}, {scan:?}");
    Ok(Linop::of(input, output, Projection { order, scan, slants, details }))
}

/// Axes of an image.
pub(super) fn image_rank(geometry: &Geometry) -> usize {
    if geometry.is_volume() { 3 } else { 2 }
}

/// The axes that are kept, then those that are named.
pub(super) fn order(input: &Shape, axes: &[Dim], geometry: &Geometry, op: &str) -> Result<Vec<usize>> {
    let want = image_rank(geometry);
    if axes.len() != want {
        return shape_err!("{op}: \"{}\" names {} dims; expected {want}", join(axes), axes.len());
    }
    let at = axes.iter().map(|d| input.require(*d)).collect::<Result<Vec<_>>>().map_err(|e| e.at(op))?;
    if let Some(twice) = axes.iter().enumerate().find(|(k, d)| axes[..*k].contains(d)) {
        return shape_err!("{op}: dim {} is named twice", twice.1);
    }
    Ok((0..input.rank()).filter(|a| !at.contains(a)).chain(at.iter().copied()).collect())
}

/// What rays of a cone are longer by, (rows, detectors); None in a plane.
fn slants(scan: &Scan) -> Result<Option<Constant>> {
    let g = scan.geometry();
    let of = || Constant::new(vec![g.rows, g.detectors], ConstantData::F32(scan.slants()));
    g.is_volume().then(of).transpose()
}

/// The fields of a linop file.
pub(super) fn saved(g: &Geometry, to: &mut Saver) -> Result<()> {
    let (beam, distances) = match g.beam {
        Beam::Parallel => ("parallel", None),
        Beam::Fan { source, detector } => ("fan", Some((source, detector))),
        Beam::Cone { source, detector } => ("cone", Some((source, detector))),
    };
    to.field("geometry", beam);
    to.field("angles", SavedArray::coordinates(vec![g.angles.len()], g.angles.clone())?);
    to.field("angle_unit", "radian");
    to.field("detectors", g.detectors);
    if let Some((source, detector)) = distances {
        to.field("source_distance", source);
        to.field("detector_distance", detector);
    }
    to.unless("detector_size", g.detector_size, 1.0);
    to.unless("pixel_size", g.pixel_size, 1.0);
    let mut given = vec![("center", g.center)];
    if g.is_volume() {
        to.field("rows", g.rows);
        given.extend([("row_size", g.row_size), ("row_center", g.row_center), ("slice_size", g.slice_size)]);
    }
    for (field, value) in given.into_iter().filter_map(|(field, value)| Some((field, value?))) {
        to.field(field, value);
    }
    Ok(())
}

#[derive(Debug)]
struct Projection {
    /// The kept axes, then those of the image.
    order: Vec<usize>,
    scan: Scan,
    slants: Option<Constant>,
    details: String,
}

impl Operator for Projection {
    fn op(&self) -> &'static str {
        "projection"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let x = b.permute(x, &self.order)?;
        let y = b.project(x, self.scan.clone())?;
        let Some(slants) = &self.slants else { return Ok(y) };
        let rank = b.extents(y).len();
        b.mul(y, slants.clone(), vec![rank - 2, rank - 1], false)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let geometry = self.scan.geometry();
        to.dims("axes", &self.order[self.order.len() - image_rank(geometry)..]);
        saved(geometry, to)
    }
}
