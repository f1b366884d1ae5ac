//! What each ray counts in a back-projection: views by the angles around them, rays by how often their line is measured.
//!
//! A line is one point (φ, s) of the sinogram of parallel rays, and (φ + π, −s) is the same one. The ray at angle γ = atan(u/(R + R'))
//! of a fan's view θ is φ = θ − γ, s = R sin γ, so the other ray of its line is that at −γ of the view θ + π − 2γ.

use super::super::Geometry;
use crate::error::{Result, value_err};
use ndarray::{Array1, Array2};
use std::f64::consts::PI;

/// A gap so many times as wide as the usual one and as those beside it is missing data; at random, where gaps are of all widths, so many
/// times as wide as the widest but for a few.
const MISSING: f64 = 3.0;

/// Angles are at random where a fifth of the gaps are below this part of the usual one: a third of it if each is anywhere, two thirds if
/// each is anywhere within its step.
const REGULAR: f64 = 0.5;

/// The few of so many gaps, and at least, that may be holes.
const FEW: (usize, usize) = (16, 2);

/// No gap below is missing data of parallel rays: angles may be uneven.
const SMALL: f64 = PI / 45.0;

/// No gap below is missing data of a fan or a cone: few views may be far apart.
const NARROW: f64 = PI / 18.0;

/// Detector pixels that one side may be longer by, and count as if it were not.
const EVEN: f64 = 1.0;

/// The part of the overlap at its either end over which weights go from that of lines that are measured twice to the others'.
const BAND: f64 = 0.3;

/// The angles of a scan around its circle: half a turn for parallel rays, a turn for others, which measure each line twice.
#[derive(Clone, Debug)]
pub(crate) struct Coverage {
    /// Half of the angles to the neighbours of each view.
    pub shares: Vec<f64>,
    /// The usual distance of two views.
    #[cfg_attr(not(feature = "app"), allow(dead_code))]
    pub usual: f64,
    /// The angles that no view is near to.
    pub missing: f64,
    /// The angle at which the views begin, behind the widest gap, and the angle from there to the last one.
    pub reach: (f64, f64),
}

impl Coverage {
    /// Views at these angles around a circle of `period`.
    pub fn of(angles: &[f64], period: f64) -> Coverage {
        let angles: Vec<f64> = angles.iter().map(|a| a.rem_euclid(period)).collect();
        let mut order: Vec<usize> = (0..angles.len()).collect();
        order.sort_by(|&a, &b| angles[a].total_cmp(&angles[b]));
        let count = order.len();
        // The gap behind each view in rising order.
        let mut gaps: Vec<f64> =
            (0..count).map(|k| (angles[order[(k + 1) % count]] - angles[order[k]]).rem_euclid(period)).collect();
        if gaps.iter().sum::<f64>() < 0.5 * period {
            // All at one angle.
            gaps[count - 1] = period;
        }
        let mut sorted: Vec<f64> = gaps.iter().copied().filter(|gap| *gap > 1e-6 * period / count as f64).collect();
        sorted.sort_by(f64::total_cmp);
        let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(period);
        let widest = (0..count).max_by(|&a, &b| gaps[a].total_cmp(&gaps[b])).unwrap_or(0);
        let reach = (angles[order[(widest + 1) % count]], period - gaps[widest]);
        let but_few = sorted.len().saturating_sub(1 + (sorted.len() / FEW.0).max(FEW.1));
        let scattered = sorted.get(but_few).copied().unwrap_or(usual);
        let regular = sorted.get(sorted.len() / 5).is_none_or(|gap| *gap > REGULAR * usual);
        let least = (MISSING * if regular { usual } else { usual.max(scattered) }).max(SMALL);
        // Views that are further apart than others over a stretch are only fewer there; a hole is wide beside its neighbours.
        let wide: Vec<bool> = (0..count).map(|k| gaps[k] > least && gaps[k] > MISSING * beside(&gaps, k)).collect();
        let missing = gaps.iter().zip(&wide).filter(|(_, wide)| **wide).map(|(gap, _)| gap - usual).sum();
        gaps.iter_mut().zip(&wide).filter(|(_, wide)| **wide).for_each(|(gap, _)| *gap = usual);
        let mut shares = vec![0.0; count];
        for (k, &view) in order.iter().enumerate() {
            shares[view] = 0.5 * (gaps[k] + gaps[(k + count - 1) % count]);
        }
        Coverage { shares, usual, missing, reach }
    }

    /// Whether no more than a narrow gap is missing.
    pub fn is_whole(&self) -> bool {
        self.missing <= NARROW
    }

    /// Whether views around a turn see lines from both sides.
    pub fn is_turn(&self) -> bool {
        self.is_whole() && self.reach.1 > 1.01 * PI
    }
}

/// The second of the two gaps before and the two behind a gap, by width; the widest where there are fewer.
fn beside(gaps: &[f64], k: usize) -> f64 {
    let n = gaps.len();
    let mut four: Vec<f64> = [n - 1, n + n - 2, 1, 2].into_iter().map(|by| gaps[(k + by) % n]).collect();
    match n {
        0..=2 => 0.0,
        3 | 4 => (0..n).filter(|j| *j != k).map(|j| gaps[j]).fold(0.0, f64::max),
        _ => {
            four.sort_by(f64::total_cmp);
            four[2]
        }
    }
}

/// The weights of a back-projection: of views, and of rays where they are not all alike.
pub(super) struct Weights {
    pub views: Vec<f32>,
    pub rays: Rays,
}

/// The weights of rays.
pub(super) enum Rays {
    Alike,
    /// The same in all views, by the detector index. Beyond the side that is nearer to the axis the views go on, so many pixels
    /// before and behind, with what the filter makes there of lines that are seen from the other side.
    Detector {
        weights: Array1<f32>,
        beyond: [usize; 2],
    },
    /// (views, detectors)
    Each(Array2<f32>),
}

impl Weights {
    /// Those of a scan.
    ///
    /// # Errors
    /// The geometry is none; views of a fan or a cone leave lines out.
    pub fn of(g: &Geometry) -> Result<Weights> {
        g.check()?;
        let turn = Coverage::of(&g.angles, 2.0 * PI);
        let views = |coverage: &Coverage, weight: f64| coverage.shares.iter().map(|s| (weight * s) as f32).collect();
        let (center, _) = g.centers();
        let Some((source, behind)) = g.distances() else {
            let half = Coverage::of(&g.angles, PI);
            let rays = if turn.is_turn() { displaced(center, g.detectors) } else { Rays::Alike };
            return Ok(Weights { views: views(&half, 1.0), rays });
        };
        if turn.is_whole() {
            return Ok(Weights { views: views(&turn, 0.5), rays: displaced(center, g.detectors) });
        }
        let fan = |c: f64| ((c - center) * g.detector_size / (source + behind)).atan();
        let widest = fan(0.0).abs().max(fan(g.detectors as f64 - 1.0).abs());
        // The fan that the views are enough for.
        let enough = 0.5 * (turn.reach.1 - PI);
        if enough < widest {
            return value_err!(
                "views over {:.0} degrees, which leave out {:.0} of the turn; a fan of ±{:.1} degrees needs {:.0} of them in one \
                 piece, or the whole turn (a solver on the projection does not)",
                turn.reach.1.to_degrees(),
                360.0 - turn.reach.1.to_degrees(),
                widest.to_degrees(),
                180.0 + 2.0 * widest.to_degrees()
            );
        }
        let rays = Array2::from_shape_fn((g.angles.len(), g.detectors), |(view, c)| {
            let from = (g.angles[view] - turn.reach.0).rem_euclid(2.0 * PI);
            parker(from, fan(c as f64), enough) as f32
        });
        Ok(Weights { views: views(&turn, 1.0), rays: Rays::Each(rays) })
    }
}

/// The weight of a ray at `gamma` of a view at `from` the first one, of a short scan of π + 2Γ, Γ being at least the fan's angle:
/// that of the two rays of a line add to 1, and nowhere is a step (D. L. Parker, Med. Phys. 9:254, 1982).
fn parker(from: f64, gamma: f64, enough: f64) -> f64 {
    let rise = |angle: f64, over: f64| {
        if over > 0.0 { (PI / 4.0 * (angle / over).clamp(0.0, 2.0)).sin().powi(2) } else { 1.0 }
    };
    let end = PI + 2.0 * enough;
    match () {
        // All of a view a little beyond either end, by rounding.
        _ if from > 0.5 * (end + 2.0 * PI) => 0.0,
        _ if from < 2.0 * (enough + gamma) => rise(from, enough + gamma),
        _ if from > PI + 2.0 * gamma => rise(end - from, enough - gamma),
        _ => 1.0,
    }
}

/// Weights of a whole turn whose axis is not in the middle of the detector: the lines that only its longer side reaches are
/// measured once, and count twice; between them and the others weights change smoothly, and those of the two rays of a line add
/// to 2 (G. Wang, Med. Phys. 29:1634, 2002).
fn displaced(center: f64, detectors: usize) -> Rays {
    let (before, behind) = (center, detectors as f64 - 1.0 - center);
    let (short, long) = (before.min(behind), before.max(behind));
    if long - short <= EVEN {
        return Rays::Alike;
    }
    let side = if behind > before { 1.0 } else { -1.0 };
    let band = BAND * short.max(0.0);
    let weights = Array1::from_shape_fn(detectors, |c| {
        let u = side * (c as f64 - center);
        let part = ((u.abs() - (short - band)) / band.max(1e-9)).clamp(0.0, 1.0);
        let change = (0.5 * PI * part).sin().powi(2);
        (1.0 + u.signum() * change) as f32
    });
    let more = (long - short).ceil() as usize;
    Rays::Detector { weights, beyond: if behind > before { [more, 0] } else { [0, more] } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn degrees(angles: &[f64]) -> Vec<f32> {
        let g = Geometry::parallel(&angles.iter().map(|a| a.to_radians()).collect::<Vec<_>>(), 5);
        Weights::of(&g).unwrap().views.iter().map(|s| s.to_degrees()).collect()
    }

    fn near(got: &[f32], want: &[f32]) {
        assert!(
            got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-3),
            "{got:?}, not {want:?}"
        );
    }

    #[test]
    fn views_share_the_half_turn() {
        near(&degrees(&[0.0, 45.0, 90.0, 135.0]), &[45.0; 4]);
        // Uneven, in no order, and beyond a turn.
        near(&degrees(&[90.0, 380.0, 130.0, 0.0]), &[55.0, 45.0, 45.0, 35.0]);
        // Both ends of the half turn are one view, and so are the views of a whole turn.
        near(&degrees(&[0.0, 60.0, 120.0, 180.0]), &[30.0, 60.0, 60.0, 30.0]);
        near(&degrees(&[0.0, 90.0, 180.0, 270.0]), &[45.0; 4]);
        near(&degrees(&[17.0]), &[180.0]);
        // What is missing is not shared out.
        near(&degrees(&[0.0, 10.0, 20.0, 30.0]), &[10.0; 4]);
        let missing = Coverage::of(&[0.0, 10.0, 20.0, 30.0].map(f64::to_radians), PI).missing.to_degrees();
        assert!((missing - 140.0).abs() < 1e-9, "{missing}");
    }

    #[test]
    fn a_fan_has_half_of_a_turn() {
        let angles: Vec<f64> = (0..36).map(|k| f64::from(k) * PI / 18.0).collect();
        let fan = |n| Weights::of(&Geometry::fan(&angles[..n], 5, 9.0, 1.0));
        assert!((fan(36).unwrap().views.iter().sum::<f32>() - PI as f32).abs() < 1e-4);
        assert!(matches!(fan(36).unwrap().rays, Rays::Alike));
        // 230 degrees are enough for a fan of ±11.3, 190 are not.
        assert!(matches!(fan(24).unwrap().rays, Rays::Each(_)));
        let short = fan(20).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(short.contains("leave out 170 of the turn") && short.contains("needs 203"), "{short}");
    }

    #[test]
    fn the_rays_of_a_line_add_to_one() {
        for enough in [0.2, 0.31, 1.2] {
            for gamma in [-0.1999, -0.1, 0.0, 0.07, 0.1999] {
                for k in 0..40 {
                    let from = f64::from(k) / 39.0 * 2.0 * (enough + gamma);
                    let sum = parker(from, gamma, enough) + parker(from + PI - 2.0 * gamma, -gamma, enough);
                    assert!((sum - 1.0).abs() < 1e-6, "{enough} {gamma} {from}: {sum}");
                }
                assert!((parker(2.0 * (enough + gamma) + 1e-9, gamma, enough) - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn an_axis_that_is_off_leaves_lines_that_count_twice() {
        for (center, n) in [(30.0, 101), (70.25, 101), (-2.0, 50), (4.0, 40)] {
            let Rays::Detector { weights: w, .. } = displaced(center, n) else { panic!("{center}") };
            let at = |u: f64| w.get((center + u) as usize).copied();
            for c in 0..n {
                let u = c as f64 - center;
                match at(-u).filter(|_| center.fract() == 0.0 && center - u >= 0.0) {
                    Some(other) => assert!((w[c] + other - 2.0).abs() < 1e-5, "{center}: {u}"),
                    None if center.fract() == 0.0 => assert!(w[c] == 2.0, "{center}: {u}"),
                    None => {}
                }
            }
            assert!(w.iter().all(|w| (0.0..=2.0).contains(w)));
        }
        assert!(matches!(displaced(49.75, 100), Rays::Alike) && matches!(displaced(49.5, 100), Rays::Alike));
    }
}
