//! Regularisers by name: total variation, total generalised variation, wavelets, low rank.

use super::{Of, Problem};
use crate::dim::{Dim, Shape, ToDims, join};
use crate::error::{Result, shape_err, value_err};
use crate::functional::{group_l1, l1, l2_squared, locally_low_rank, weighted_l1};
use crate::linop::{self, Align, GradientOptions, Linop, Wavelet, WaveletBoundary, WaveletOptions};
use crate::tensor::Tensor;

/// What an l1 norm of wavelet coefficients is over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WaveletPenalty {
    /// An orthogonal wavelet; db4 at first.
    pub wavelet: Wavelet,
    /// Levels at most; as many as halve all extents without rest, and not more. 3 at first.
    pub levels: usize,
    /// The mean over so many shifts of the grid of coefficients, which has none of its blocks; 1 at first: no shift.
    pub shifts: usize,
}

impl Default for WaveletPenalty {
    fn default() -> Self {
        WaveletPenalty { wavelet: "db4".parse().unwrap_or_default(), levels: 3, shifts: 1 }
    }
}

crate::setters::setters! { WaveletPenalty {
    /// With another orthogonal wavelet.
    wavelet: Wavelet,
    /// With other levels at most.
    levels: usize,
    /// With the mean over so many shifts.
    shifts: usize,
} }

impl WaveletPenalty {
    /// The same with as many levels and shifts as there are over these extents: none is halved below 1, and of 2^levels shifts the
    /// next is the first again.
    pub fn over(&self, extents: &[usize]) -> WaveletPenalty {
        let least = extents.iter().copied().filter(|n| *n > 1).min().unwrap_or(1);
        let levels = self.levels.min(least.ilog2() as usize).max(1);
        WaveletPenalty { levels, shifts: self.shifts.min(1 << levels), ..self.clone() }
    }
}

/// What the second differences of TGV are times, and their weight over, so that one penalty suits both of its terms: SENSE comes to rest in
/// half of the iterations.
pub(super) const CURVED: f32 = 3.0;

impl Problem {
    /// With + λ/2 ‖x‖².
    ///
    /// # Errors
    /// λ is negative or not finite.
    pub fn l2(self, weight: f64) -> Result<Problem> {
        Ok(self.term(l2_squared(weight)?))
    }

    /// With + λ TV(x): isotropic total variation Σ √Σᵢ|∂ᵢx|² along the dims of `axes`, differences ahead, none across the border. Dims
    /// beside them (time, colour) have a total variation each.
    ///
    /// Rudin, Osher and Fatemi, Physica D 60:259 (1992).
    ///
    /// # Errors
    /// λ is negative or not finite, or x has not these dims.
    pub fn tv(self, weight: f64, axes: impl ToDims) -> Result<Problem> {
        let axes = axes.to_dims().map_err(|e| e.at("tv"))?;
        let gradient = linop::gradient(self.shape()?.clone(), &axes, GradientOptions::default())?;
        let front = first(&gradient)?;
        let norm = Some(GRADIENT * axes.len() as f64);
        let mut problem =
            self.with(group_l1(weight, &front)?, Some(&gradient), Of { norm, blind: true, ..Of::default() });
        if let Some(term) = problem.terms.last_mut() {
            term.even = Some(axes);
        }
        Ok(problem)
    }

    /// With + λ TGV²(x) = min over v of λ Σ|∇x − v| + 2λ Σ|E v|, with the symmetrised gradient E: second-order total generalised
    /// variation, which has no staircases where x is a slope. The field v becomes a part of the unknown.
    ///
    /// Bredies, Kunisch and Pock, SIAM J. Imaging Sci. 3:492 (2010), with the ratio α₀ = 2α₁ of Knoll et al., Magn. Reson. Med. 65:480
    /// (2011).
    ///
    /// # Errors
    /// As for [`tv`](Problem::tv); or there is a TGV term or a start already.
    pub fn tgv(self, weight: f64, axes: impl ToDims) -> Result<Problem> {
        let axes = &axes.to_dims().map_err(|e| e.at("tgv"))?;
        if self.image.is_some() || self.start.is_some() {
            return value_err!("tgv: give it once, and before the start");
        }
        let shape = self.shape()?.clone();
        let gradient = linop::gradient(shape.clone(), axes, GradientOptions::default())?;
        let count = axes.len();
        let field = gradient.output()?.clone();
        // The unknown (1 + d, …): x, and a field of d entries.
        let front = first(&gradient)?;
        let mut extents = field.extents().to_vec();
        extents[0] = 1 + count;
        let whole = Shape::new(field.dims().to_vec(), extents)?;
        let x = linop::slice(whole.clone(), &[(front.as_str(), 0..1)])?.keep();
        let x = (linop::sum(x.output()?, front.as_str())? * x).named("x");
        let v = linop::slice(whole, &[(front.as_str(), 1..1 + count)])?.keep();
        let e = linop::symmetrised_gradient(v.output()?, axes, GradientOptions::default().ahead(false))?;
        let bend = &gradient * &x - &v;
        let bend_front = first(&bend)?;
        // The second differences of a field are smaller than the first ones of an image.
        let curve = &e * &v * CURVED;
        let curve_front = first(&curve)?;
        let a = &self.a * &x;
        a.check()?;
        let terms = self.terms.into_iter().map(|t| super::Term {
            linop: Some(match &t.linop {
                Some(k) => k * &x,
                None => x.clone(),
            }),
            pixels: t.linop.is_none() || t.orthonormal || t.isometry.is_some(),
            orthonormal: false,
            isometry: None,
            even: None,
            norm: t.norm.or(t.linop.is_none().then_some(1.0)),
            ..t
        });
        let terms = terms.collect();
        let problem = Problem { terms, ..Problem::new(&a, &self.y)? };
        let of = Of { blind: true, ..Of::default() };
        let problem = problem.with(group_l1(weight, &bend_front)?, Some(&bend), of);
        let problem = problem.with(group_l1(2.0 * weight / f64::from(CURVED), &curve_front)?, Some(&curve), of);
        Ok(Problem { image: Some(x), bent: Some(axes.clone()), ..problem })
    }

    /// With + λ Σ|detail coefficients| of an orthonormal periodic wavelet transform along the dims of `axes`; the coarsest
    /// approximation is not penalised. Extents that cannot be halved as often are filled up with zeros, inside the term.
    ///
    /// Donoho, IEEE Trans. Inf. Theory 41:613 (1995); shifts: Coifman and Donoho, in Wavelets and Statistics (Springer, 1995).
    ///
    /// # Errors
    /// λ is negative or not finite, x has not these dims, or the wavelet is not orthogonal.
    pub fn l1_wavelet(self, weight: f64, axes: impl ToDims, penalty: &WaveletPenalty) -> Result<Problem> {
        let named = axes.to_dims().map_err(|e| e.at("l1_wavelet"))?;
        if penalty.levels == 0 || penalty.shifts == 0 {
            return value_err!(
                "l1_wavelet: {} levels and {} shifts; expected at least 1",
                penalty.levels,
                penalty.shifts
            );
        }
        if !penalty.wavelet.is_orthogonal() {
            return value_err!("l1_wavelet: {} is not orthogonal; use haar, db, sym or coif", penalty.wavelet);
        }
        let shape = self.shape()?.clone();
        let extents = named.iter().map(|d| Ok(shape.extents()[shape.require(*d)?])).collect::<Result<Vec<_>>>()?;
        let WaveletPenalty { levels, shifts, .. } = penalty.over(&extents);
        let multiple = 1usize << levels;
        let mut k = linop::identity(shape.clone())?;
        let padded: Vec<String> = named
            .iter()
            .zip(&extents)
            .filter(|(_, n)| **n > 1 && !n.is_multiple_of(multiple))
            .map(|(d, n)| format!("{d}={}", n.next_multiple_of(multiple)))
            .collect();
        let orthonormal = padded.is_empty() && shifts == 1;
        // What is filled up with zeros is not even.
        let blind = padded.is_empty();
        let names: Vec<Dim> = named.iter().zip(&extents).filter(|(_, n)| **n > 1).map(|(d, _)| *d).collect();
        if !padded.is_empty() {
            k = linop::pad(k.output()?, padded.join(" "), Align::Start)?.keep();
        }
        let options = WaveletOptions::default()
            .wavelet(penalty.wavelet.clone())
            .levels(Some(levels))
            .boundary(WaveletBoundary::Periodization);
        let wavelet = linop::wavelet(k.output()?, &names, &options)?.keep();
        let details = details(wavelet.output()?, wavelet.input()?, &names, multiple)?;
        if orthonormal {
            let f = weighted_l1(weight, &details)?;
            return Ok(self.with(f, Some(&wavelet), Of { onto: true, isometric: true, norm: Some(1.0), blind }));
        }
        let mut problem = self;
        for s in 0..shifts {
            // Diagonal shifts, over all phases of the coarsest grid.
            let by = i64::try_from(s * multiple / shifts).unwrap_or(0);
            let moves: Vec<String> = names.iter().map(ToString::to_string).collect();
            let moves: Vec<(&str, i64)> = moves.iter().map(|d| (d.as_str(), by)).collect();
            let moved = if s == 0 { k.clone() } else { linop::roll(k.output()?, &moves)? * &k };
            let f = weighted_l1(weight / shifts as f64, &details)?;
            problem =
                problem.with(f, Some(&(&wavelet * moved)), Of { onto: false, isometric: true, norm: Some(1.0), blind });
        }
        Ok(problem)
    }

    /// With + λ times the mean of Σ‖blocks‖⁎ over two positions of the blocks, half a block apart: locally low rank along the dims
    /// `series`, in blocks of the extents `block` along all other dims.
    ///
    /// # Errors
    /// As for [`locally_low_rank`]; or x has not these dims.
    pub fn llr(self, weight: f64, series: impl ToDims, block: &[usize]) -> Result<Problem> {
        let shape = self.shape()?.clone();
        let front = series.to_dims().map_err(|e| e.at("llr"))?;
        let rest: Vec<Dim> = shape.dims().iter().copied().filter(|d| !front.contains(d)).collect();
        if rest.len() + front.len() != shape.rank() {
            return shape_err!("llr: \"{}\" are not dims of {shape}", join(&front));
        }
        let order: Vec<Dim> = front.iter().chain(&rest).copied().collect();
        let half: Vec<usize> = block.iter().map(|b| b / 2).collect();
        let mut problem = self;
        let offsets =
            if block.iter().all(|b| *b == 1) { vec![vec![0; block.len()]] } else { vec![vec![0; block.len()], half] };
        for offset in &offsets {
            let f = locally_low_rank(weight / offsets.len() as f64, &front, block, Some(offset))?;
            problem = if order == shape.dims() {
                problem.term(f)
            } else {
                let turned = linop::transpose(shape.clone(), &join(&order))?;
                problem.term_of_orthonormal(f, &turned)
            };
        }
        Ok(problem)
    }

    /// With the constraint that x is real and between the two.
    ///
    /// # Errors
    /// A bound is NaN, or the lower one is above the upper one.
    pub fn boxed(self, low: f64, high: f64) -> Result<Problem> {
        Ok(self.term(crate::functional::boxed(low, high)?))
    }

    /// With the constraint that x is real and not negative.
    pub fn non_negative(self) -> Problem {
        self.term(crate::functional::non_negative())
    }

    /// With + λ Σ|xᵢ|.
    ///
    /// # Errors
    /// λ is negative or not finite.
    pub fn l1(self, weight: f64) -> Result<Problem> {
        Ok(self.term(l1(weight)?))
    }
}

/// ‖∂‖² of differences of neighbours, at most.
const GRADIENT: f64 = 4.0;

/// The name of a linop's first output dim.
pub(super) fn first(linop: &Linop) -> Result<String> {
    Ok(linop.output()?.dims()[0].to_string())
}

/// 1 for details, 0 for the coarsest approximation, which is in the corner.
fn details(coefficients: &Shape, input: &Shape, axes: &[Dim], multiple: usize) -> Result<Tensor> {
    let corner: Vec<usize> = input.iter().map(|(d, n)| if axes.contains(&d) { n / multiple } else { n }).collect();
    let extents = coefficients.extents();
    let mut values = vec![1.0f32; coefficients.len()];
    for (at, value) in values.iter_mut().enumerate() {
        let mut rest = at;
        let inside = (0..extents.len()).rev().all(|a| {
            let i = rest % extents[a];
            rest /= extents[a];
            i < corner[a]
        });
        if inside {
            *value = 0.0;
        }
    }
    Tensor::from_vec(coefficients.clone(), values)
}
