//! Coil compression: few virtual coils that hold nearly all that many coils have measured.
//!
//! | way | virtual coils | source |
//! |---|---|---|
//! | [`Compression::svd`] | the strongest principal components of all samples | Buehrer et al., Magn. Reson. Med. 57:1131 (2007); Huang et al., Magn. Reson. Imaging 26:133 (2008) |
//! | [`Compression::gcc`] | those at each position along the readout, turned to be smooth along it | Zhang et al., Magn. Reson. Med. 69:571 (2013) |
//!
//! Virtual coils are orthonormal combinations of coils: white noise stays white.

use crate::allocate::expect_room;
use crate::error::{Result, shape_err, value_err};
use crate::fourier::centred_dft;
use crate::solve::small_svd;
use ndarray::parallel::prelude::*;
use ndarray::{Array2, Array3, ArrayD, ArrayView, ArrayView2, ArrayViewD, Axis, Dimension, RemoveAxis};
use num_complex::{Complex32, Complex64};

/// How coils become virtual coils.
#[derive(Clone, Debug, PartialEq)]
pub struct Compression {
    /// Rows of combinations (position, virtual coil, coil); one position where all are alike.
    matrices: Array3<Complex32>,
    /// The axis of (coil, image…) that positions are along, where there are several.
    along: Option<usize>,
    energy: f64,
}

impl Compression {
    /// The `coils` strongest principal components of samples (coil, …), which count by `weights` (…) where those are given.
    ///
    /// # Errors
    /// `coils` is 0 or more than there are, the samples are not finite or all zero, or the weights have other extents.
    pub fn svd(kspace: ArrayViewD<Complex32>, weights: Option<ArrayViewD<f64>>, coils: usize) -> Result<Compression> {
        let rows = rows(kspace.view())?;
        check(rows.nrows(), coils)?;
        let weights: Option<Vec<f64>> = match weights {
            Some(w) if w.shape() != &kspace.shape()[1..] => {
                return shape_err!("weights of shape {:?}, expected {:?}", w.shape(), &kspace.shape()[1..]);
            }
            w => w.map(|w| w.iter().copied().collect()),
        };
        let principal = Principal::of(&covariance(rows.view(), weights.as_deref()), coils);
        principal.expect_energy()?;
        let matrices = principal.rows().insert_axis(Axis(0));
        Ok(Compression { matrices, along: None, energy: principal.kept / principal.total })
    }

    /// The `coils` strongest principal components at each position along the readout of k-space (coil, ky, kx) or (coil, kz, ky,
    /// kx): the last axis that is fully sampled, by a mask (ky, kx) or (kz, ky, kx).
    ///
    /// # Errors
    /// No axis is fully sampled; else as for [`Compression::svd`].
    pub fn gcc<D: Dimension, E: RemoveAxis>(
        kspace: ArrayView<Complex32, D>,
        mask: ArrayView<f32, E>,
        coils: usize,
    ) -> Result<Compression> {
        let kspace = kspace.into_dyn();
        let Some((&all, image)) = kspace.shape().split_first() else {
            return shape_err!("k-space without axes, expected (coil, …)");
        };
        check(all, coils)?;
        if mask.shape() != image {
            return shape_err!("a mask of {:?}, expected {image:?} from the k-space", mask.shape());
        }
        let full = |axis: usize| {
            mask.lanes(Axis(axis))
                .into_iter()
                .all(|lane| lane.iter().all(|m| *m == 0.0) || lane.iter().all(|m| *m != 0.0))
        };
        let Some(readout) = (0..image.len()).rev().find(|axis| full(*axis)) else {
            return value_err!(
                "geometric coil compression goes along a fully sampled readout, and no axis is one; use svd"
            );
        };
        let along = readout + 1;
        let hybrid = transformed(kspace, along, true)?;
        let mut found: Vec<Principal> = hybrid
            .axis_iter(Axis(along))
            .into_par_iter()
            .map(|samples| Ok(Principal::of(&covariance(rows(samples)?.view(), None), coils)))
            .collect::<Result<_>>()?;
        let (kept, total) = found.iter().fold((0.0, 0.0), |(k, t), p| (k + p.kept, t + p.total));
        let all_of_them = Principal { vectors: Vec::new(), kept, total };
        all_of_them.expect_energy()?;
        align(&mut found);
        let views: Vec<Array2<Complex32>> = found.iter().map(Principal::rows).collect();
        let views: Vec<_> = views.iter().map(|v| v.view()).collect();
        let matrices = ndarray::stack(Axis(0), &views).map_err(|e| crate::Error::Shape(e.to_string()))?;
        Ok(Compression { matrices, along: Some(along), energy: kept / total })
    }

    /// How many virtual coils there are.
    pub fn coils(&self) -> usize {
        self.matrices.len_of(Axis(1))
    }

    /// The part of the samples' energy, 0 to 1, that the virtual coils hold.
    pub fn energy(&self) -> f64 {
        self.energy
    }

    /// The samples (coil, …) of the virtual coils (virtual coil, …).
    ///
    /// # Errors
    /// Another number of coils, or for geometric compression other extents along the readout.
    pub fn kspace(&self, kspace: ArrayViewD<Complex32>) -> Result<ArrayD<Complex32>> {
        let Some(along) = self.along else { return self.combined(kspace) };
        if kspace.ndim() <= along {
            return shape_err!("k-space of {} axes, expected at least {}", kspace.ndim(), along + 1);
        }
        let combined = self.combined(transformed(kspace, along, true)?.view())?;
        transformed(combined.view(), along, false)
    }

    /// The sensitivities (coil, image…) of the virtual coils (virtual coil, image…).
    ///
    /// # Errors
    /// As for [`Compression::kspace`].
    pub fn maps(&self, maps: ArrayViewD<Complex32>) -> Result<ArrayD<Complex32>> {
        self.combined(maps)
    }

    /// The combinations of values (coil, …), position by position.
    fn combined(&self, values: ArrayViewD<Complex32>) -> Result<ArrayD<Complex32>> {
        let (positions, coils, all) = self.matrices.dim();
        let shape = values.shape().to_vec();
        if shape.first() != Some(&all) || self.along.is_some_and(|axis| shape.get(axis) != Some(&positions)) {
            return shape_err!(
                "values of {shape:?} do not fit the compression of {all} coils at {positions} positions"
            );
        }
        let extents = [&[coils], &shape[1..]].concat();
        let Some(along) = self.along else {
            let rows = rows(values)?;
            let out = product(self.matrices.index_axis(Axis(0), 0), rows.view());
            return out.into_shape_with_order(extents).map_err(|e| crate::Error::Shape(e.to_string()));
        };
        let mut out = ArrayD::zeros(extents);
        out.axis_iter_mut(Axis(along))
            .into_par_iter()
            .zip(values.axis_iter(Axis(along)))
            .zip(self.matrices.axis_iter(Axis(0)))
            .try_for_each(|((mut to, from), matrix)| {
                let combined = product(matrix, rows(from)?.view());
                let combined = combined.into_shape_with_order(to.raw_dim());
                to.assign(&combined.map_err(|e| crate::Error::Shape(e.to_string()))?);
                Ok::<(), crate::Error>(())
            })?;
        Ok(out)
    }
}

/// The strongest eigenvectors of a covariance, and the energy that they hold.
struct Principal {
    /// Vectors over the coils, the strongest first.
    vectors: Vec<Vec<Complex64>>,
    kept: f64,
    total: f64,
}

impl Principal {
    fn of(covariance: &Array2<Complex64>, coils: usize) -> Principal {
        // Of a Hermitian matrix without negative eigenvalues the singular vectors are the eigenvectors; those from the right are
        // orthonormal even where the matrix has no rank.
        let columns = covariance.columns().into_iter().map(|c| c.to_vec()).collect();
        let (values, right) = small_svd(columns);
        let kept = values.iter().take(coils).sum();
        let vectors = right.into_iter().take(coils).collect();
        Principal { vectors, kept, total: values.iter().sum() }
    }

    fn expect_energy(&self) -> Result<()> {
        match self.total.is_finite() && self.total > 0.0 {
            true => Ok(()),
            false => value_err!("coil compression needs samples that are finite and not all 0"),
        }
    }

    /// vᵢᴴ as rows (virtual coil, coil).
    fn rows(&self) -> Array2<Complex32> {
        let all = self.vectors.first().map_or(0, Vec::len);
        Array2::from_shape_fn((self.vectors.len(), all), |(i, c)| {
            let v = self.vectors[i][c];
            Complex32::new(v.re as f32, -v.im as f32)
        })
    }

    /// Turns the vectors within their span, to be as near those of a neighbour as that allows: by the unitary factor of VᴴU
    /// for vectors V here and U there.
    fn turn_to(&mut self, neighbour: &Principal) {
        let inner = |a: &[Complex64], b: &[Complex64]| a.iter().zip(b).map(|(a, b)| a.conj() * b).sum::<Complex64>();
        let columns: Vec<Vec<Complex64>> =
            neighbour.vectors.iter().map(|u| self.vectors.iter().map(|v| inner(v, u)).collect()).collect();
        let Some(unitary) = unitary_factor(columns) else { return };
        let all = self.vectors.first().map_or(0, Vec::len);
        let turned = unitary
            .iter()
            .map(|column| (0..all).map(|c| self.vectors.iter().zip(column).map(|(v, q)| v[c] * q).sum()).collect())
            .collect();
        self.vectors = turned;
    }
}

/// The unitary factor of a square matrix by columns; None where the matrix is singular.
fn unitary_factor(columns: Vec<Vec<Complex64>>) -> Option<Vec<Vec<Complex64>>> {
    let n = columns.len();
    // With P = U Σ Wᴴ: P W = U Σ.
    let (values, right) = small_svd(columns.clone());
    if values.last().is_none_or(|least| *least <= 1e-12 * values[0]) {
        return None;
    }
    let left: Vec<Vec<Complex64>> = right
        .iter()
        .zip(&values)
        .map(|(w, value)| (0..n).map(|i| (0..n).map(|j| columns[j][i] * w[j]).sum::<Complex64>() / value).collect())
        .collect();
    Some((0..n).map(|j| (0..n).map(|i| (0..n).map(|k| left[k][i] * right[k][j].conj()).sum()).collect()).collect())
}

/// Makes the virtual coils smooth from position to position, from the middle outwards.
fn align(found: &mut [Principal]) {
    let middle = found.len() / 2;
    for at in middle + 1..found.len() {
        let (before, behind) = found.split_at_mut(at);
        if let (Some(neighbour), Some(one)) = (before.last(), behind.first_mut()) {
            one.turn_to(neighbour);
        }
    }
    for at in (0..middle).rev() {
        let (before, behind) = found.split_at_mut(at + 1);
        if let (Some(one), Some(neighbour)) = (before.last_mut(), behind.first()) {
            one.turn_to(neighbour);
        }
    }
}

fn check(all: usize, coils: usize) -> Result<()> {
    match coils >= 1 && coils <= all {
        true => Ok(()),
        false => value_err!("{coils} virtual coils of {all} coils; expected 1 to {all}"),
    }
}

/// Values (coil, …) as (coil, sample).
fn rows(values: ArrayViewD<Complex32>) -> Result<Array2<Complex32>> {
    let Some(&coils) = values.shape().first() else { return shape_err!("values without axes, expected (coil, …)") };
    expect_room((values.len() as u64).saturating_mul(2 * 8), "coil compression")?;
    let shape = (coils, values.len().checked_div(coils).unwrap_or(0));
    let rows = values.as_standard_layout().into_owned().into_shape_with_order(shape);
    rows.map_err(|e| crate::Error::Shape(e.to_string()))
}

/// Σ w y yᴴ over the samples (coil, sample), in f64.
fn covariance(samples: ArrayView2<Complex32>, weights: Option<&[f64]>) -> Array2<Complex64> {
    let lines: Vec<_> = samples.rows().into_iter().collect();
    let coils = lines.len();
    let wide = |v: &Complex32| Complex64::new(v.re.into(), v.im.into());
    let weight = |at: usize| weights.map_or(1.0, |w| w[at]);
    let pairs: Vec<(usize, usize)> = (0..coils).flat_map(|c| (c..coils).map(move |d| (c, d))).collect();
    let sums: Vec<Complex64> = pairs
        .par_iter()
        .map(|&(c, d)| {
            lines[c].iter().zip(&lines[d]).enumerate().map(|(at, (a, b))| wide(a) * wide(b).conj() * weight(at)).sum()
        })
        .collect();
    let mut out = Array2::zeros((coils, coils));
    for ((c, d), sum) in pairs.into_iter().zip(sums) {
        out[[c, d]] = sum;
        out[[d, c]] = sum.conj();
    }
    out
}

fn product(matrix: ArrayView2<Complex32>, rows: ArrayView2<Complex32>) -> Array2<Complex32> {
    super::dense::product(matrix, rows)
}

/// Transformed along one axis, to the image or to k-space.
fn transformed(values: ArrayViewD<Complex32>, axis: usize, inverse: bool) -> Result<ArrayD<Complex32>> {
    expect_room((values.len() as u64).saturating_mul(8), "coil compression")?;
    let mut values = values.to_owned();
    centred_dft(values.view_mut(), Axis(axis), inverse);
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::noise::Generator;
    use crate::app::{Scan, ScanOptions, scan};

    fn head(coils: usize) -> Scan {
        scan(&ScanOptions::default().ny(32).nx(24).coils(coils).acceleration(1).noise(0.0)).unwrap()
    }

    fn energy(a: &ArrayD<Complex32>) -> f64 {
        a.iter().map(|v| f64::from(v.norm_sqr())).sum()
    }

    #[test]
    fn combinations_of_coils_are_found_again() {
        // Ten coils that are combinations of three.
        let few = head(3).kspace;
        let mut generator = Generator::new(3);
        let mix = Array2::from_shape_fn((10, 3), |_| {
            let v = generator.complex_normal();
            Complex32::new(v.re as f32, v.im as f32)
        });
        let rows = few.into_shape_with_order((3, 32 * 24)).unwrap();
        let many = mix.dot(&rows).into_shape_with_order((10, 32, 24)).unwrap();
        let mask = Array2::ones((32, 24));
        for found in [
            Compression::svd(many.view().into_dyn(), None, 3).unwrap(),
            Compression::gcc(many.view(), mask.view(), 3).unwrap(),
        ] {
            assert!((found.energy() - 1.0).abs() < 1e-9, "{}", found.energy());
            let kspace = found.kspace(many.view().into_dyn()).unwrap();
            assert_eq!(kspace.shape(), [3, 32, 24]);
            assert!((energy(&kspace) / energy(&many.clone().into_dyn()) - 1.0).abs() < 1e-5);
        }
        let one = Compression::svd(many.view().into_dyn(), None, 1).unwrap();
        let kept = energy(&one.kspace(many.view().into_dyn()).unwrap()) / energy(&many.into_dyn());
        assert!(one.energy() < 0.999 && (one.energy() - kept).abs() < 1e-5, "{} {kept}", one.energy());
    }

    #[test]
    fn maps_follow_the_kspace() {
        // Sensitivities of the ring are band-limited only nearly: what a coil sees is map times image.
        let scan = head(6);
        let mut images = scan.kspace.clone();
        centred_dft(images.view_mut(), Axis(1), true);
        centred_dft(images.view_mut(), Axis(2), true);
        let mask = Array2::ones((32, 24));
        let by_position = Compression::gcc(scan.kspace.view(), mask.view(), 3).unwrap();
        let by_all = Compression::svd(scan.kspace.view().into_dyn(), None, 3).unwrap();
        assert!(by_position.energy() >= by_all.energy() && by_all.energy() > 0.8, "{}", by_all.energy());
        for found in [by_position, by_all] {
            let mut kspace = found.kspace(scan.kspace.view().into_dyn()).unwrap();
            centred_dft(kspace.view_mut(), Axis(1), true);
            centred_dft(kspace.view_mut(), Axis(2), true);
            // Combining coils and transforming are in any order the same.
            let want = found.maps(images.view().into_dyn()).unwrap();
            assert!(energy(&(kspace - &want)) < 1e-9 * energy(&want));
        }
    }

    #[test]
    fn volumes_are_combined_along_their_readout() {
        // A plane of each depth, of which every second line was acquired.
        let scan = head(6);
        let deep = ndarray::stack![Axis(1), scan.kspace, scan.kspace.mapv(|v| v * 0.5)];
        let mask = Array3::from_shape_fn((2, 32, 24), |(_, y, _)| f32::from(y % 2 == 0));
        let deep = deep * &mask.mapv(Complex32::from);
        let flat = &scan.kspace * &mask.index_axis(Axis(0), 0).mapv(Complex32::from);
        let found = Compression::gcc(deep.view(), mask.view(), 3).unwrap();
        let want = Compression::gcc(flat.view(), mask.index_axis(Axis(0), 0), 3).unwrap();
        assert_eq!((found.along, found.matrices.dim()), (Some(3), (24, 3, 6)));
        assert!((found.energy() - want.energy()).abs() < 1e-6);
        let (k, plane) = (found.kspace(deep.view().into_dyn()).unwrap(), want.kspace(flat.view().into_dyn()).unwrap());
        assert_eq!(k.shape(), [3, 2, 32, 24]);
        assert!((energy(&k) / energy(&plane) - 1.25).abs() < 1e-4);
        assert_eq!(found.maps(deep.into_dyn().view()).unwrap().shape(), [3, 2, 32, 24]);
        assert!(found.kspace(ArrayD::zeros(vec![6, 2, 24]).view()).is_err());
    }

    #[test]
    fn virtual_coils_are_orthonormal_and_smooth() {
        let scan = head(6);
        let found = Compression::gcc(scan.kspace.view(), scan.mask.view(), 3).unwrap();
        for (at, m) in found.matrices.outer_iter().enumerate() {
            let gram = m.dot(&m.t().mapv(|v| v.conj()));
            assert!((gram - Array2::<Complex32>::eye(3)).iter().all(|v| v.norm() < 1e-5), "{at}");
        }
        // Across the head neighbours differ little.
        for at in 8..16 {
            let step = &found.matrices.index_axis(Axis(0), at) - &found.matrices.index_axis(Axis(0), at + 1);
            let step = step.iter().map(|v| v.norm_sqr()).sum::<f32>().sqrt();
            assert!(step < 0.5, "{at}: {step}");
        }
    }

    #[test]
    fn wrong_numbers_are_errors() {
        let scan = head(3);
        let svd = |n| Compression::svd(scan.kspace.view().into_dyn(), None, n);
        assert!(svd(4).unwrap_err().to_string().contains("expected 1 to 3"));
        assert!(svd(0).is_err());
        let zeros = Array3::<Complex32>::zeros((3, 4, 4));
        assert!(Compression::svd(zeros.view().into_dyn(), None, 2).unwrap_err().to_string().contains("not all 0"));
        let checkers = Array2::from_shape_fn((32, 24), |(y, x)| ((y + x) % 2) as f32);
        let e = Compression::gcc(scan.kspace.view(), checkers.view(), 2).unwrap_err().to_string();
        assert!(e.contains("use svd"), "{e}");
        assert!(svd(2).unwrap().maps(ArrayD::zeros(vec![4, 8, 8]).view()).is_err());
    }
}
