//! Sub-linops to join: of one structure, and of many.

use crate::common::data::{complex, indices, mask, real};
use linops::Linop;
use linops::linop::{self, FftOptions};

/// Extents that all of them take and give.
pub const SHAPE: &str = "Y=12 X=10";

fn fft() -> Linop {
    linop::fft(SHAPE, "Y X", FftOptions::default().centered(true)).unwrap().out("Y X").unwrap()
}

fn weight(seed: u64) -> Linop {
    linop::diagonal(SHAPE, &complex(SHAPE, seed)).unwrap()
}

/// Diagonal, transform, mask: structures alike, weights not.
pub fn alike(count: usize) -> Vec<Linop> {
    let mask = linop::diagonal(SHAPE, &mask(SHAPE, 0.6, 1)).unwrap();
    (0..count).map(|k| (&mask * fft() * weight(10 + k as u64)).named(format!("coil {k}"))).collect()
}

/// As unlike as they come: 1 to 5 kernels, real and complex, with and without weights.
pub fn unlike() -> Vec<Linop> {
    let dense = linop::dense(SHAPE, &complex("R=12 Y=12", 3), "R X").unwrap().out("Y X").unwrap();
    let pick = linop::sampling_at(SHAPE, &[("Y", indices(&[12], 12, 4))], "X S").unwrap();
    let pick = linop::rearrange("X=10 S=12", "X S -> S X", "").unwrap().out("Y X").unwrap() * pick;
    let lines = linop::fft(SHAPE, "X", FftOptions::default()).unwrap().out("Y X").unwrap();
    vec![
        linop::flip(SHAPE, "X").unwrap(),
        fft() * weight(5),
        dense * weight(6),
        pick.clone(),
        linop::identity(SHAPE).unwrap(),
        0.5 * linop::diagonal(SHAPE, &real(SHAPE, 7)).unwrap(),
        weight(8) * fft().h() * pick.h() * lines,
        linop::zero(SHAPE, SHAPE).unwrap(),
        linop::roll(SHAPE, &[("Y", 5)]).unwrap() * weight(9),
    ]
}

/// Every container of these linops, by name.
pub fn containers(linops: &[Linop]) -> Vec<(&'static str, Linop)> {
    let all = || linops.to_vec();
    vec![
        ("add", linop::add(all()).unwrap()),
        ("concat in", linop::concat(all(), Some("Y"), None).unwrap()),
        ("concat out", linop::concat(all(), None, Some("Y")).unwrap()),
        ("concat both", linop::concat(all(), Some("Y"), Some("Y")).unwrap()),
        ("concat in, inner", linop::concat(all(), Some("X"), None).unwrap()),
        ("concat out, inner", linop::concat(all(), None, Some("X")).unwrap()),
        ("concat both, inner", linop::concat(all(), Some("X"), Some("Y")).unwrap()),
        ("stack in", linop::stack(all(), Some(("B", 0)), None).unwrap()),
        ("stack out", linop::stack(all(), None, Some(("B", 2))).unwrap()),
        ("stack both", linop::stack(all(), Some(("B", 1)), Some(("B", 0))).unwrap()),
    ]
}
