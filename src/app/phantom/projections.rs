//! The head as CT sees it: its integrals along the rays of a scan, in closed form.

use super::{Ellipse, ellipses};
use crate::error::{Result, value_err};
use crate::linop::{Beam, Geometry};
use ndarray::Array2;

/// The integrals (angle, detector) of the Shepp-Logan head along the rays of a scan in a plane; its square field of view is
/// `width` wide, in the unit of the geometry, and its middle on the axis of rotation. The image that they are of is
/// [`shepp_logan_image`](super::shepp_logan_image) of as many pixels, an odd number.
///
/// ```
/// use linops::{app::shepp_logan_projections, linop::Geometry};
/// let views = shepp_logan_projections(&Geometry::parallel(&[0.0, 0.3], 65), 64.0)?;
/// // All of a view is all of the head.
/// assert!((views.row(0).sum() / views.row(1).sum() - 1.0).abs() < 1e-2);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// The geometry is none, or a cone.
pub fn shepp_logan_projections(geometry: &Geometry, width: f64) -> Result<Array2<f64>> {
    geometry.check()?;
    if let Beam::Cone { .. } = geometry.beam {
        return value_err!("the head is a plane, which a cone does not measure; expected parallel rays or a fan");
    }
    let shapes: Vec<Ellipse> = ellipses().collect();
    let (center, _) = geometry.centers();
    Ok(Array2::from_shape_fn((geometry.angles.len(), geometry.detectors), |(view, d)| {
        let (sin, cos) = geometry.angles[view].sin_cos();
        let u = (d as f64 - center) * geometry.detector_size;
        let (distance, normal) = match geometry.distances() {
            None => (u, (cos, -sin)),
            Some((source, behind)) => {
                let away = source + behind;
                let long = away.hypot(u);
                (source * u / long, ((away * cos + u * sin) / long, (u * cos - away * sin) / long))
            }
        };
        width * shapes.iter().map(|e| e.chord(distance / width, normal)).sum::<f64>()
    }))
}

impl Ellipse {
    /// The integral along a line, from its distance to the middle and its normal.
    fn chord(&self, distance: f64, normal: (f64, f64)) -> f64 {
        let off = distance - (self.centre[0] * normal.0 + self.centre[1] * normal.1);
        let [u, v] = self.turn(normal.0, normal.1);
        let [a, b] = self.half;
        let reach = (a * u).powi(2) + (b * v).powi(2);
        self.intensity * 2.0 * a * b * (reach - off * off).max(0.0).sqrt() / reach
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::shepp_logan_image;
    use crate::linop;
    use crate::tensor::Tensor;

    #[test]
    fn they_are_those_of_the_image() {
        let n = 129;
        let angles: Vec<f64> = (0..7).map(|k| 0.3 + 0.9 * f64::from(k)).collect();
        for g in [Geometry::parallel(&angles, 150), Geometry::fan(&angles, 220, 200.0, 80.0).center(Some(104.3))] {
            let a = linop::projection(format!("Y={n} X={n}"), "Y X", &g, "A D").unwrap();
            let got = a.apply(&Tensor::from_array(shepp_logan_image(n, n), "Y X").unwrap()).unwrap();
            let want = shepp_logan_projections(&g, n as f64).unwrap();
            let (got, most) = (got.to_real_vec().unwrap(), want.iter().copied().fold(0.0, f64::max));
            let off: f64 = got.iter().zip(&want).map(|(g, w)| (f64::from(*g) - w).powi(2)).sum();
            let rms = (off / want.len() as f64).sqrt() / most;
            assert!(rms < 2e-2, "{rms}");
        }
        assert!(shepp_logan_projections(&Geometry::cone(&angles, 5, 5, 90.0, 1.0), 9.0).is_err());
    }
}
