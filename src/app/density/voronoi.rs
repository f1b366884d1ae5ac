//! Voronoi cells as density compensation, in 2-D.

use super::dims;
use crate::error::value_err;
use crate::{Error, Result};
use ndarray::parallel::prelude::*;
use ndarray::{ArrayD, ArrayViewD, IxDyn};
use spade::handles::VertexHandle;
use spade::{DelaunayTriangulation, Point2, Triangulation};
use std::collections::HashMap;

/// Points closer than this fraction of the trajectory's reach are one point: rounding in f32 moves them that much.
const SAME: f64 = 1e-6;

/// The areas of the Voronoi cells of a 2-D trajectory (…, 2), as weights (…).
///
/// Samples at the same place, such as the centres of spokes, share their cell evenly. The cells at the rim, which have no end
/// of their own, are cut at the convex hull of the samples after it has been moved outwards by half the median distance of a
/// hull sample to the nearest Delaunay neighbour inside: for a grid, a disc of spokes or a spiral that is half of the sampling
/// distance, and the weights at the rim are what they would be if the scan went on. Rasche, Proksa, Sinkus, Börnert and
/// Eggers, IEEE Trans. Med. Imaging 18:385 (1999).
///
/// # Errors
/// [`Error::Value`] when D is not 2, a coordinate is not finite, or all samples lie on one line.
pub fn voronoi_density(trajectory: ArrayViewD<f64>) -> Result<ArrayD<f64>> {
    dims(&trajectory, &[2], "the Voronoi density compensation")?;
    let shape = trajectory.shape()[..trajectory.ndim() - 1].to_vec();
    let reach = trajectory.iter().fold(0.0f64, |r, v| r.max(v.abs()));
    let values = trajectory.as_standard_layout();
    let samples: Vec<[f64; 2]> =
        values.iter().copied().collect::<Vec<_>>().chunks_exact(2).map(|p| [p[0], p[1]]).collect();

    let (points, place) = distinct(&samples, reach * SAME);
    let mut count = vec![0usize; points.len()];
    place.iter().for_each(|&p| count[p] += 1);
    let areas = areas(&points)?;
    let weights = place.iter().map(|&p| areas[p] / count[p] as f64).collect();
    ArrayD::from_shape_vec(IxDyn(&shape), weights).map_err(|e| Error::Shape(e.to_string()))
}

/// The points that differ by more than `tolerance`, and which of them each sample is.
fn distinct(samples: &[[f64; 2]], tolerance: f64) -> (Vec<[f64; 2]>, Vec<usize>) {
    let mut seen = HashMap::new();
    let mut points = Vec::new();
    let place = samples
        .iter()
        .map(|p| {
            let key = p.map(|v| if tolerance > 0.0 { (v / tolerance).round() as i64 } else { 0 });
            *seen.entry(key).or_insert_with(|| {
                points.push(*p);
                points.len() - 1
            })
        })
        .collect();
    (points, place)
}

/// The area of each point's cell.
fn areas(points: &[[f64; 2]]) -> Result<Vec<f64>> {
    let failed = |e: spade::InsertionError| Error::Value(format!("the samples cannot be triangulated: {e}"));
    let vertices = points.iter().map(|p| Point2::new(p[0], p[1])).collect();
    let mesh = DelaunayTriangulation::<Point2<f64>>::bulk_load_stable(vertices).map_err(failed)?;
    if mesh.num_inner_faces() == 0 {
        return value_err!(
            "all samples lie on one line, and their Voronoi cells have no area; use another density compensation"
        );
    }
    if mesh.num_vertices() != points.len() {
        return value_err!("{} of {} distinct samples were triangulated", mesh.num_vertices(), points.len());
    }
    let rim = rim(&mesh);
    // What lies within this distance of the centre is inside the rim, which nearly every cell is.
    let clear = rim.iter().fold(f64::INFINITY, |d, side| d.min(side.offset));
    // Anything that holds the rim will do to begin with.
    let far = points.iter().flatten().fold(1.0f64, |r, v| r.max(v.abs())) * 4.0;
    let square = [[-far, -far], [far, -far], [far, far], [-far, far]];
    let handles: Vec<_> = mesh.vertices().collect();
    Ok(handles
        .par_iter()
        .map(|vertex| {
            let mut cell = Polygon(square.to_vec());
            for neighbour in neighbours(*vertex) {
                cell.cut(&HalfPlane::nearer(position(*vertex), neighbour));
            }
            if cell.0.iter().any(|p| p[0].hypot(p[1]) > clear) {
                rim.iter().for_each(|side| cell.cut(side));
            }
            cell.area()
        })
        .collect())
}

type Vertex<'a> = VertexHandle<'a, Point2<f64>>;

fn position(vertex: Vertex) -> [f64; 2] {
    let p = vertex.position();
    [p.x, p.y]
}

fn neighbours(vertex: Vertex<'_>) -> impl Iterator<Item = [f64; 2]> {
    vertex.out_edges().map(|edge| position(edge.to()))
}

/// The sides of the hull, moved outwards.
fn rim(mesh: &DelaunayTriangulation<Point2<f64>>) -> Vec<HalfPlane> {
    let edges: Vec<[Vertex; 2]> = mesh.convex_hull().map(|e| [e.from(), e.to()]).collect();
    let mut on_hull = vec![false; mesh.num_vertices()];
    edges.iter().flatten().for_each(|v| on_hull[v.fix().index()] = true);
    let mut steps: Vec<f64> = edges
        .iter()
        .filter_map(|[vertex, _]| {
            let inside = vertex.out_edges().map(|e| e.to()).filter(|v| !on_hull[v.fix().index()]);
            inside.map(|v| distance(position(*vertex), position(v))).min_by(f64::total_cmp)
        })
        .collect();
    steps.sort_by(f64::total_cmp);
    let margin = steps.get(steps.len() / 2).map_or(0.0, |step| step / 2.0);
    edges
        .iter()
        .map(|[a, b]| {
            let (a, b) = (position(*a), position(*b));
            let length = distance(a, b);
            let along = [(b[0] - a[0]) / length, (b[1] - a[1]) / length];
            // spade walks the hull from outside, clockwise: outwards is on the left.
            let normal = [-along[1], along[0]];
            HalfPlane { normal, offset: normal[0] * a[0] + normal[1] * a[1] + margin }
        })
        .collect()
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// The points p with normal·p ≤ offset.
struct HalfPlane {
    normal: [f64; 2],
    offset: f64,
}

impl HalfPlane {
    /// The points nearer to `a` than to `b`.
    fn nearer(a: [f64; 2], b: [f64; 2]) -> HalfPlane {
        let normal = [b[0] - a[0], b[1] - a[1]];
        let offset = normal[0] * (a[0] + b[0]) / 2.0 + normal[1] * (a[1] + b[1]) / 2.0;
        HalfPlane { normal, offset }
    }

    /// How far outside p is, in units of the normal.
    fn excess(&self, p: [f64; 2]) -> f64 {
        self.normal[0] * p[0] + self.normal[1] * p[1] - self.offset
    }
}

/// A convex polygon.
struct Polygon(Vec<[f64; 2]>);

impl Polygon {
    /// Keeps what is inside; Sutherland and Hodgman, Commun. ACM 17:32 (1974).
    fn cut(&mut self, side: &HalfPlane) {
        let excess: Vec<f64> = self.0.iter().map(|p| side.excess(*p)).collect();
        if excess.iter().all(|e| *e <= 0.0) {
            return;
        }
        let n = self.0.len();
        let mut kept = Vec::with_capacity(n + 1);
        for i in 0..n {
            let (p, q, a, b) = (self.0[i], self.0[(i + 1) % n], excess[i], excess[(i + 1) % n]);
            if a <= 0.0 {
                kept.push(p);
            }
            if (a < 0.0 && b > 0.0) || (a > 0.0 && b < 0.0) {
                let t = a / (a - b);
                kept.push([p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])]);
            }
        }
        self.0 = kept;
    }

    fn area(&self) -> f64 {
        let Some(first) = self.0.first() else { return 0.0 };
        // From a corner of its own: far from the origin the terms would cancel.
        let from = |p: &[f64; 2]| [p[0] - first[0], p[1] - first[1]];
        let twice: f64 =
            self.0.windows(2).map(|w| (from(&w[0]), from(&w[1]))).map(|(a, b)| a[0] * b[1] - a[1] * b[0]).sum();
        twice.abs() / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::density::ramp_density;
    use crate::app::noise::Generator;
    use crate::app::trajectory::{radial, rosette, spiral};
    use ndarray::{Array2, Array3};
    use std::f64::consts::PI;

    fn weights(k: &Array3<f64>) -> ArrayD<f64> {
        voronoi_density(k.view().into_dyn()).unwrap()
    }

    #[test]
    fn a_grid_has_weights_of_1() {
        let grid =
            Array3::from_shape_fn((12, 9, 2), |(y, x, axis)| if axis == 0 { y as f64 - 6.0 } else { x as f64 - 4.0 });
        assert!(weights(&grid).iter().all(|w| (w - 1.0).abs() < 1e-9), "{:?}", weights(&grid));
        // Twice acquired, half the share each.
        let twice = ndarray::concatenate![ndarray::Axis(0), grid, grid];
        assert!(weights(&twice).iter().all(|w| (w - 0.5).abs() < 1e-9));
    }

    #[test]
    fn spokes_agree_with_the_ramp() {
        let k = radial(80, 48, 48).unwrap();
        let (found, ramp) = (weights(&k), ramp_density(k.view().into_dyn()).unwrap());
        // The half of the rim that spokes reach with their longer end meets the other half at spoke 0.
        for s in [10, 17, 60] {
            for i in (0..48usize).filter(|i| i.abs_diff(24) > 1) {
                let error = (found[[s, i]] / ramp[[s, i]] - 1.0).abs();
                assert!(error < if (1..47).contains(&i) { 0.01 } else { 0.1 }, "{s} {i}: {error}");
            }
        }
        assert!((found[[5, 24]] / ramp[[5, 24]] - 1.0).abs() < 0.05);
    }

    #[test]
    fn cells_together_fill_the_disc() {
        let area = PI * 16.0 * 16.0;
        let spiral = spiral(4, 1000, 32, 4.0).unwrap();
        assert!((weights(&spiral).sum() / area - 1.0).abs() < 0.03, "{}", weights(&spiral).sum() / area);
        let rosette = rosette(4096, 32, [31.0, 30.0]).unwrap();
        let found = voronoi_density(rosette.view().into_dyn()).unwrap();
        assert!((found.sum() / area - 1.0).abs() < 0.05, "{}", found.sum() / area);
        assert!(found.iter().all(|w| *w > 0.0));
    }

    #[test]
    fn cells_are_those_of_the_nearest_point() {
        let mut generator = Generator::new(3);
        let points = Array2::from_shape_fn((60, 2), |_| generator.uniform() * 10.0);
        let found = voronoi_density(points.view().into_dyn()).unwrap();
        let rows: Vec<[f64; 2]> = points.rows().into_iter().map(|p| [p[0], p[1]]).collect();
        let mut counted = vec![0.0; 60];
        let step = 0.02;
        for (i, j) in (0..500).flat_map(|i| (0..500).map(move |j| (i, j))) {
            let at = [(i as f64 + 0.5) * step, (j as f64 + 0.5) * step];
            let nearest = (0..60).min_by(|&a, &b| distance(rows[a], at).total_cmp(&distance(rows[b], at))).unwrap();
            counted[nearest] += step * step;
        }
        // Cells well inside do not touch the square's edge.
        for (i, p) in rows.iter().enumerate().filter(|(_, p)| p.iter().all(|v| (3.0..7.0).contains(v))) {
            assert!((found[i] - counted[i]).abs() < 0.03, "{p:?}: {} {}", found[i], counted[i]);
        }
    }

    #[test]
    fn points_without_area_are_an_error() {
        let line = Array2::from_shape_fn((9, 2), |(i, _)| i as f64);
        let message = |k: &Array2<f64>| voronoi_density(k.view().into_dyn()).unwrap_err().to_string();
        assert!(message(&line).contains("one line"));
        assert!(message(&Array2::zeros((4, 2))).contains("one line"));
        assert!(message(&Array2::zeros((4, 3))).contains("(…, 2)"));
    }
}
