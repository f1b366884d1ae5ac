use super::*;

fn spread(width: f64, axes: usize, circular: bool, radial: bool) -> Footprint {
    let profile = vec![Profile::Spline(1); axes];
    Footprint { width: vec![width; axes], profile, radial, circular, closed: true }
}

/// The weight of every cell of a 1-D grid, straight from the definition.
fn direct(t: f64, n: usize, width: f64, circular: bool) -> Vec<f64> {
    let mut w = vec![0.0; n];
    for i in -200i64..200 {
        let u = (i as f64 - t) / (width / 2.0);
        if u.abs() <= 1.0 && (circular || (0..n as i64).contains(&i)) {
            w[i.rem_euclid(n as i64) as usize] += 1.0 - u.abs();
        }
    }
    w
}

#[test]
fn footprints_hold_every_cell_within_reach() {
    for n in [1, 2, 3, 5, 9, 40] {
        for width in [1.0, 1.5, 2.0, 3.0, 4.7, 6.0] {
            for circular in [true, false] {
                let locs: Vec<f64> = (-30..90).map(|k| k as f64 * 0.25 - 0.1 * (k % 3) as f64).collect();
                let p = Points::new(&locs, &[n], &spread(width, 1, circular, false)).unwrap();
                for s in 0..p.count() {
                    let m = p.order()[s] as usize;
                    let mut got = vec![0.0; n];
                    for (j, w) in p.weights()[s * p.stride()..][..p.stride()].iter().enumerate() {
                        let i = p.cells()[s][0] as usize + j;
                        assert!(circular || i < n);
                        got[i % n] += f64::from(*w);
                    }
                    let t = if circular { locs[m].rem_euclid(n as f64) } else { locs[m] };
                    let want = direct(t, n, width, circular);
                    let error = got.iter().zip(&want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
                    assert!(error < 1e-6, "n {n} width {width} circular {circular} t {t}: {got:?} {want:?}");
                }
            }
        }
    }
}

#[test]
fn tiles_list_every_cell_of_every_footprint_once() {
    for (grid, circular) in
        [(vec![70, 130], true), (vec![5, 40], true), (vec![33, 65], false), (vec![17, 18, 40], true)]
    {
        let d = grid.len();
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24)
        };
        let locs: Vec<f64> = (0..300 * d).map(|k| next() * grid[k % d] as f64).collect();
        let p = Points::new(&locs, &grid, &spread(5.0, d, circular, d == 2)).unwrap();
        for tiles in [p.tiles(), p.bins()] {
            let mut cells = vec![0usize; p.count()];
            for t in 0..tiles.len() {
                let origin = tiles.origin(t);
                for e in tiles.entries(t) {
                    let inside = |a: usize| {
                        let end = tiles.extents()[a].min(grid[a] - origin[a]) as i64;
                        let first = i64::from(e.first[a]);
                        (first + p.taps()[a] as i64).min(end) - first.max(0)
                    };
                    let own: i64 = (0..d).map(inside).product();
                    assert!(own > 0);
                    cells[e.point as usize] += own as usize;
                }
            }
            let whole: usize = p.taps().iter().product();
            assert!(cells.iter().all(|&c| c == whole), "{grid:?}");
        }
        assert_eq!(p.order().iter().map(|&m| m as usize).sum::<usize>(), p.count() * (p.count() - 1) / 2);
    }
}

#[test]
fn bad_points_are_refused() {
    let s = spread(3.0, 1, true, false);
    assert!(Points::new(&[], &[8], &s).is_err());
    assert!(Points::new(&[f64::NAN], &[8], &s).unwrap_err().to_string().contains("point 0"));
    assert!(Points::new(&[1.0, 2.0, f64::INFINITY, 0.0], &[8, 8], &spread(3.0, 2, true, false)).is_err());
    assert!(Points::new(&[1.0], &[8], &spread(0.5, 1, true, false)).is_err());
    assert!(Points::new(&[1.0; 4], &[2, 2, 2, 2], &spread(2.0, 4, true, false)).is_err());
}
