//! Differences of neighbours: gradients, Laplacians, strains.

use super::{Linop, Operator, SavedValue, Saver, axes_of};
use crate::access::{Constant, ConstantData, ValueId};
use crate::dim::{Dim, Shape, ToDims, ToShape, join, parse_dims};
use crate::error::{Result, shape_err, value_err};
use crate::ir::Builder;
use crate::primitive::contract::Contract;
pub use crate::primitive::difference::Border;
use crate::primitive::difference::MOST_AXES;
use crate::setters::setters;

/// Options of [`gradient`], [`laplacian`] and [`symmetrised_gradient`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GradientOptions {
    /// What stands beyond the ends.
    pub border: Border,
    /// `x[n + 1] − x[n]` instead of `x[n] − x[n − 1]`.
    pub ahead: bool,
    /// Distance of neighbours along each axis, in the order of `axes`; None is 1 along all.
    pub spacing: Option<Vec<f64>>,
}

impl Default for GradientOptions {
    fn default() -> Self {
        GradientOptions { border: Border::Neumann, ahead: true, spacing: None }
    }
}

setters! { GradientOptions {
    /// With something else beyond the ends.
    border: Border,
    /// With differences to the entry behind, or to the one before.
    ahead: bool,
    /// With these distances of neighbours.
    spacing: Option<Vec<f64>>,
} }

/// Differences of neighbours, `y[d, n] = x[n] − x[n − 1 along d]`, behind a new dim in front with an entry for each dim of
/// `axes`.
///
/// The new dim is called `D`, or the next unused name; `out` renames. Forward, adjoint and normal are one pass over memory
/// each: the normal of all directions is one stencil.
///
/// The adjoint is minus the divergence, Σ_d y[d, n] − y[d, n + 1 along d]. [Splits](Linop::split) along every dim; along `axes`
/// a part reads one entry beyond each of its ends, with a circular border all of x.
///
/// ```
/// use linops::linop::{self, Border};
/// let d = linop::finite_difference("Y=5 X=7", "Y X", Border::Circular)?;
/// assert_eq!(d.output()?.to_string(), "D=2 Y=5 X=7");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim of `axes` is not in the input, none is named, or more than 6.
pub fn finite_difference(input: impl ToShape, axes: impl ToDims, border: Border) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("finite_difference"))?);
    let options = GradientOptions { border, ahead: false, spacing: None };
    build("finite_difference", input.to_shape()?, axes, &options)
}

/// The gradient, `y[d, n] = (x[n + 1 along d] − x[n])/spacing_d`, behind a new dim `D` in front: [`finite_difference`] with the
/// choices of total variation, differences ahead and none across the border (Rudin, Osher and Fatemi, Physica D 60, 1992).
///
/// The adjoint is minus the divergence. The normal is minus [`laplacian`] with the same options.
///
/// With another spacing than 1 the forward takes a second pass, and so does the normal. It splits as [`finite_difference`]
/// does.
///
/// ```
/// use linops::linop::{self, GradientOptions};
/// use linops::Tensor;
/// let a = linop::gradient("N=4", "N", GradientOptions::default().spacing(Some(vec![0.5])))?;
/// let x = Tensor::from_array(ndarray::arr1(&[0.0f32, 1.0, 3.0, 6.0]), "N")?;
/// assert_eq!(a.apply(&x)?.to_real_array()?.into_raw_vec_and_offset().0, [2.0, 4.0, 6.0, 0.0]);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for `finite_difference`; or the spacing has another number of entries than `axes`, or one that is not above 0.
pub fn gradient(input: impl ToShape, axes: impl ToDims, options: GradientOptions) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("gradient"))?);
    build("gradient", input.to_shape()?, axes, &options)
}

fn build(op: &'static str, input: Shape, axes: &str, options: &GradientOptions) -> Result<Linop> {
    let along = axes_of(&input, axes).and_then(|a| options.checked(a)).map_err(|e| e.at(op))?;
    let details = options.details(&input, &along);
    let weights = options.weights();
    let output = with_directions(&input, along.len())?;
    Ok(Linop::of(input, output, Gradient { op, along, options: options.clone(), weights, details }))
}

/// The Laplacian, `y = Σ_d (x[n + 1] − 2x[n] + x[n − 1])/spacing_d²` along the dims of `axes`: minus the normal of [`gradient`],
/// self-adjoint and not positive. One pass over memory where the spacing is 1.
///
/// At the border of kind `Zero` the end that the gradient looks across (the last one with differences ahead, else the first) has a
/// 0 beyond it, and the other its own entry.
///
/// The normal is the Laplacian twice: two passes. [Splits](Linop::split) along every dim, with an entry of each neighbour.
///
/// ```
/// use linops::linop::{self, GradientOptions};
/// use linops::Tensor;
/// let a = linop::laplacian("N=4", "N", GradientOptions::default())?;
/// let y = a.apply(&Tensor::from_array(ndarray::arr1(&[0.0f32, 1.0, 3.0, 6.0]), "N")?)?;
/// // At the ends the differences across the border are 0.
/// assert_eq!(y.to_real_array()?, ndarray::arr1(&[1.0f32, 1.0, 1.0, -3.0]).into_dyn());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for [`gradient`].
pub fn laplacian(input: impl ToShape, axes: impl ToDims, options: GradientOptions) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("laplacian"))?);
    let input = input.to_shape()?;
    let along = axes_of(&input, axes).and_then(|a| options.checked(a)).map_err(|e| e.at("laplacian"))?;
    let details = options.details(&input, &along);
    let weights = options.weights().map(|w| w.iter().map(|w| w * w).collect());
    Ok(Linop::of(input.clone(), input, Laplacian { along, options, weights, details }))
}

/// The symmetrised gradient of a vector field v, whose first dim has an entry for each dim of `axes`:
/// `y[ii] = ∂ᵢvᵢ` and `y[ij] = (∂ᵢvⱼ + ∂ⱼvᵢ)/√2` for i < j, in the order 00, 01, …, 11, 12, …
///
/// With these factors the norm of y is the Frobenius norm of the symmetric matrix of which each off-diagonal entry stands once,
/// which is what second-order total generalised variation measures (Bredies, Kunisch and Pock, SIAM J. Imaging Sci. 3, 2010; it
/// takes differences to the other side than the gradient that made v: `ahead` is false by its choice). The first dim keeps its
/// name.
///
/// The adjoint is minus the divergence of the symmetric matrix, with the same factors; the normal is both. Two passes each way:
/// differences of each entry along each dim, and their sums. [Splits](Linop::split) along every dim.
///
/// ```
/// use linops::linop::{self, GradientOptions};
/// let e = linop::symmetrised_gradient("D=3 Z=4 Y=5 X=6", "Z Y X", GradientOptions::default().ahead(false))?;
/// assert_eq!(e.output()?.to_string(), "D=6 Z=4 Y=5 X=6");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for [`gradient`]; or the first dim is in `axes`, or has another extent than their number.
pub fn symmetrised_gradient(input: impl ToShape, axes: impl ToDims, options: GradientOptions) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("symmetrised_gradient"))?);
    let input = input.to_shape()?;
    let op = "symmetrised_gradient";
    let along = axes_of(&input, axes).and_then(|a| options.checked(a)).map_err(|e| e.at(op))?;
    let count = along.len();
    if along.contains(&0) || input.extents()[0] != count {
        return shape_err!(
            "{op}: the first dim of {input} must have an entry for each of the {count} dims of \"{}\", and not be one of them",
            join(&parse_dims(axes)?)
        );
    }
    let pairs: Vec<(usize, usize)> = (0..count).flat_map(|i| (i..count).map(move |j| (i, j))).collect();
    let weights = options.weights().unwrap_or(vec![1.0; count]);
    // Of component c, vector entry j, direction i.
    let mut strain = vec![0.0f32; pairs.len() * count * count];
    for (c, &(i, j)) in pairs.iter().enumerate() {
        let factor = if i == j { 0.5 } else { std::f64::consts::FRAC_1_SQRT_2 };
        #[allow(clippy::cast_possible_truncation)]
        for (vector, direction) in [(j, i), (i, j)] {
            strain[(c * count + vector) * count + direction] += (factor * weights[direction]) as f32;
        }
    }
    let strain = Constant::new(vec![pairs.len(), count, count], ConstantData::F32(strain))?;
    let mut extents = input.extents().to_vec();
    extents[0] = pairs.len();
    let details = options.details(&input, &along);
    let output = Shape::new(input.dims().to_vec(), extents)?;
    Ok(Linop::of(input, output, Strain { along, options, strain, details }))
}

/// The shape of so many directions.
fn with_directions(input: &Shape, count: usize) -> Result<Shape> {
    let (mut dims, mut extents) = (vec![direction(input)?], vec![count]);
    dims.extend(input.dims());
    extents.extend(input.extents());
    Shape::new(dims, extents)
}

/// The dim of directions: `D`, or the next unused name.
fn direction(input: &Shape) -> Result<Dim> {
    let d: Dim = "D".parse()?;
    Ok(if input.axis(d).is_some() { d.next_unused(input.dims()) } else { d })
}

impl GradientOptions {
    /// The axes, if there are not too many and every one has a spacing.
    fn checked(&self, along: Vec<usize>) -> Result<Vec<usize>> {
        if along.len() > MOST_AXES {
            return shape_err!("differences along {} dims; expected at most {MOST_AXES}", along.len());
        }
        let Some(spacing) = &self.spacing else { return Ok(along) };
        if spacing.len() != along.len() {
            return shape_err!("{} spacings for {} dims; give one for each", spacing.len(), along.len());
        }
        // One over the square is a weight in single precision.
        #[allow(clippy::cast_possible_truncation)]
        let usable = |s: f64| s > 0.0 && ((1.0 / (s * s)) as f32).is_normal();
        match spacing.iter().find(|s| !usable(**s)) {
            Some(s) => value_err!("the spacing {s}; expected numbers above 0, from some 1e-19 to 1e18"),
            None => Ok(along),
        }
    }

    /// One over the spacing, where it is not 1 along all axes.
    fn weights(&self) -> Option<Vec<f64>> {
        let spacing = self.spacing.as_ref().filter(|s| s.iter().any(|s| *s != 1.0))?;
        Some(spacing.iter().map(|s| 1.0 / s).collect())
    }

    fn details(&self, input: &Shape, along: &[usize]) -> String {
        let names: Vec<String> = along.iter().map(|&a| input.dims()[a].to_string()).collect();
        let ahead = if self.ahead { ", ahead" } else { "" };
        format!("{}, {}{ahead}", names.join(" "), self.border_name())
    }

    fn border_name(&self) -> &'static str {
        match self.border {
            Border::Circular => "circular",
            Border::Zero => "zero",
            Border::Neumann => "neumann",
        }
    }

    /// The fields of a linop file.
    fn saved(&self, to: &mut Saver, along: &[usize]) {
        to.dims("axes", along);
        to.unless("boundary", self.border_name(), "neumann");
        to.unless("ahead", self.ahead, true);
        if let Some(spacing) = &self.spacing {
            to.field("spacing", spacing.iter().map(|&s| s.into()).collect::<Vec<SavedValue>>());
        }
    }
}

/// Multiplies each direction, along axis 0, by its weight.
fn weighted(b: &mut Builder, x: ValueId, weights: Option<&Vec<f64>>) -> Result<ValueId> {
    let Some(weights) = weights else { return Ok(x) };
    #[allow(clippy::cast_possible_truncation)]
    let data = ConstantData::F32(weights.iter().map(|w| *w as f32).collect());
    let weight = Constant::new(vec![weights.len()], data)?;
    b.mul(x, weight, vec![0], false)
}

#[derive(Debug)]
struct Gradient {
    op: &'static str,
    along: Vec<usize>,
    options: GradientOptions,
    weights: Option<Vec<f64>>,
    details: String,
}

impl Operator for Gradient {
    fn op(&self) -> &'static str {
        self.op
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let y = b.difference(x, 0, &self.along, self.options.border, self.options.ahead)?;
        weighted(b, y, self.weights.as_ref())
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        match self.op {
            "finite_difference" => {
                to.dims("axes", &self.along);
                to.unless("boundary", self.options.border_name(), "circular");
            }
            _ => self.options.saved(to, &self.along),
        }
        to.makes(with_directions(to.input(), self.along.len())?);
        Ok(())
    }
}

#[derive(Debug)]
struct Laplacian {
    along: Vec<usize>,
    options: GradientOptions,
    /// Squares of one over the spacing.
    weights: Option<Vec<f64>>,
    details: String,
}

impl Operator for Laplacian {
    fn op(&self) -> &'static str {
        "laplacian"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let GradientOptions { border, ahead, .. } = self.options;
        let y = b.difference(x, 0, &self.along, border, ahead)?;
        let y = weighted(b, y, self.weights.as_ref())?;
        let y = b.difference_adjoint(y, 0, &self.along, border, ahead)?;
        b.scale(y, (-1.0).into())
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        self.options.saved(to, &self.along);
        to.makes(to.input().clone());
        Ok(())
    }
}

#[derive(Debug)]
struct Strain {
    along: Vec<usize>,
    options: GradientOptions,
    strain: Constant,
    details: String,
}

impl Operator for Strain {
    fn op(&self) -> &'static str {
        "symmetrised_gradient"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        // (vector, direction, …)
        let y = b.difference(x, 1, &self.along, self.options.border, self.options.ahead)?;
        let rest: Vec<u32> = (3..).take(b.extents(y).len() - 2).collect();
        let labels = |front: &[u32]| -> Vec<u32> { front.iter().chain(&rest).copied().collect() };
        let contract = Contract {
            weight: self.strain.clone(),
            conj: false,
            w: vec![0, 1, 2],
            x: labels(&[1, 2]),
            y: labels(&[0]),
        };
        b.contract(y, contract)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        self.options.saved(to, &self.along);
        to.makes(Shape::new(to.input().dims().to_vec(), to.output().extents().to_vec())?);
        Ok(())
    }
}
