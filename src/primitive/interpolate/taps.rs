//! The inner loops of interpolation and spreading: a footprint's rows against a tile, coils side by side.
//!
//! A tile holds its cells in C order with the values of a block of coils beside each other. So the taps of a footprint along
//! the last axis are one stretch of `taps·lanes` reals, and each of its rows is one multiply-add of such a stretch: vectors
//! are filled for one coil as for many. Stretches are rounded up to whole vectors; the tile has room behind its end.

use crate::loops::Real;

/// Reals that are handled as one.
pub(super) const VECTOR: usize = 8;

/// Vectors in a stretch that has its own loop.
const LONGEST: usize = 20;

/// How footprints lie in a tile.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    /// Cells along each of three axes; the first ones are 1 where there are fewer axes.
    pub taps: [usize; 3],
    /// Reals from one cell to the next along the first two axes.
    pub pitch: [usize; 2],
    /// Reals of one cell.
    pub lanes: usize,
    /// Weights of one point.
    pub stride: usize,
    /// From one point's weights to the next's.
    pub spacing: usize,
    /// Whether these are one table over the footprint.
    pub radial: bool,
}

/// The weights of one point along the three axes.
struct Weights<'w> {
    first: &'w [f32],
    second: &'w [f32],
    last: &'w [f32],
}

impl Rows {
    /// Vectors in a stretch; none for a radial kernel, whose rows differ.
    fn vectors(&self) -> usize {
        if self.radial { 0 } else { (self.taps[2] * self.lanes).div_ceil(VECTOR) }
    }

    fn weights<'w>(&self, all: &'w [f32], point: usize) -> Weights<'w> {
        const ONE: &[f32] = &[1.0];
        let (along, last) = all[point * self.spacing..][..self.stride].split_at(self.stride - self.taps[2]);
        let (first, second) = along.split_at(along.len().saturating_sub(self.taps[1]));
        let or_one = |w: &'w [f32]| if w.is_empty() { ONE } else { w };
        Weights { first: or_one(first), second: or_one(second), last }
    }

    /// Calls `f(i, j, k, weight)` for every tap of a point, for kernels of any kind.
    #[inline(always)]
    fn for_taps<T: Real>(&self, all: &[f32], point: usize, mut f: impl FnMut(usize, usize, usize, T)) {
        let [p, q, r] = self.taps;
        if self.radial {
            for (at, &w) in all[point * self.spacing..][..self.stride].iter().enumerate() {
                f(at / (q * r), at / r % q, at % r, T::of(w));
            }
            return;
        }
        let w = self.weights(all, point);
        for i in 0..p {
            for j in 0..q {
                let row = T::of(w.first[i]) * T::of(w.second[j]);
                (0..r).for_each(|k| f(i, j, k, row * T::of(w.last[k])));
            }
        }
    }
}

/// The weighted sums of footprints: `out` holds `lanes` for each.
pub(super) struct Gather<'a, T> {
    pub rows: Rows,
    pub tile: &'a [T],
    /// Weights of these points at least.
    pub weights: &'a [f32],
    /// The place of the first one's weights.
    pub first: usize,
    /// Where each footprint starts in the tile.
    pub starts: &'a [u32],
}

/// Footprints to be added to a tile.
pub(super) struct Scatter<'a, T> {
    pub rows: Rows,
    /// Weights of these points at least.
    pub weights: &'a [f32],
    /// Samples of all points.
    pub samples: &'a [T],
    pub footprints: &'a [Landing],
}

/// A footprint over a tile: the rows of it that lie inside.
#[derive(Clone, Copy)]
pub(super) struct Landing {
    /// The weights' place.
    pub point: u32,
    /// The samples' place.
    pub sample: u32,
    /// Where in the tile the first row inside starts.
    pub start: u32,
    /// First and end of the rows inside, along the first two axes.
    pub inside: [(u8, u8); 2],
}

// Without the instructions of AVX2 and FMA a non-uniform transform takes 2.6 to 3 times as long (8 coils of 256², 102 400 points at 1e-3 and
// 1e-6, two cores: forward 15.1 and 27.6 ms instead of 5.7 and 9.3, adjoint 16.7 and 31.0 instead of 7.5 and 12.1).
impl<T: Real> Gather<'_, T> {
    pub fn run(&self, out: &mut [T]) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the processor has both features.
            return unsafe { gather_avx2(self, out) };
        }
        gather::<T, false>(self, out);
    }
}

impl<T: Real> Scatter<'_, T> {
    pub fn run(&self, tile: &mut [T]) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // The adjoint's figures are those above.
            // SAFETY: the processor has both features.
            return unsafe { scatter_avx2(self, tile) };
        }
        scatter::<T, false>(self, tile);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn gather_avx2<T: Real>(g: &Gather<T>, out: &mut [T]) {
    gather::<T, true>(g, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn scatter_avx2<T: Real>(s: &Scatter<T>, tile: &mut [T]) {
    scatter::<T, true>(s, tile);
}

/// Calls a loop with the number of vectors as a constant, so that its sums stay in registers.
macro_rules! by_length {
    ($n:expr, $f:ident, $any:ident, $t:ty, $fma:expr, $($arg:expr),*) => {
        match $n {
            1 => $f::<$t, 1, $fma>($($arg),*),
            2 => $f::<$t, 2, $fma>($($arg),*),
            3 => $f::<$t, 3, $fma>($($arg),*),
            4 => $f::<$t, 4, $fma>($($arg),*),
            5 => $f::<$t, 5, $fma>($($arg),*),
            6 => $f::<$t, 6, $fma>($($arg),*),
            7 => $f::<$t, 7, $fma>($($arg),*),
            8 => $f::<$t, 8, $fma>($($arg),*),
            9 => $f::<$t, 9, $fma>($($arg),*),
            10 => $f::<$t, 10, $fma>($($arg),*),
            12 => $f::<$t, 12, $fma>($($arg),*),
            14 => $f::<$t, 14, $fma>($($arg),*),
            16 => $f::<$t, 16, $fma>($($arg),*),
            18 => $f::<$t, 18, $fma>($($arg),*),
            LONGEST => $f::<$t, LONGEST, $fma>($($arg),*),
            _ => $any::<$t, $fma>($($arg),*),
        }
    };
}

#[inline(always)]
fn gather<T: Real, const FMA: bool>(g: &Gather<T>, out: &mut [T]) {
    by_length!(g.rows.vectors(), gather_rows, gather_any, T, FMA, g, out)
}

#[inline(always)]
fn scatter<T: Real, const FMA: bool>(s: &Scatter<T>, tile: &mut [T]) {
    by_length!(s.rows.vectors(), scatter_rows, scatter_any, T, FMA, s, tile)
}

#[inline(always)]
fn add<T: Real, const FMA: bool>(to: T, a: T, b: T) -> T {
    if FMA { a.fused(b, to) } else { to + a * b }
}

/// One vector of a row. Written as loops alone it is unrolled before it is vectorised where a stretch has 5 to 10 vectors, and
/// then takes three times as long.
#[inline(always)]
fn add_vector<T: Real, const FMA: bool>(to: &mut [T; VECTOR], w: T, x: &[T; VECTOR]) {
    #[cfg(target_arch = "x86_64")]
    if FMA {
        // SAFETY: FMA is set only in functions that have both features.
        return unsafe { T::fused_vector(to, w, x) };
    }
    for (to, x) in to.iter_mut().zip(x) {
        *to = add::<T, FMA>(*to, w, *x);
    }
}

#[inline(always)]
fn add_row<T: Real, const V: usize, const FMA: bool>(to: &mut [[T; VECTOR]; V], w: T, row: &[T]) {
    let (row, _) = row.as_chunks::<VECTOR>();
    to.iter_mut().zip(row).for_each(|(to, x)| add_vector::<T, FMA>(to, w, x));
}

#[inline(always)]
fn gather_rows<T: Real, const V: usize, const FMA: bool>(g: &Gather<T>, out: &mut [T]) {
    let Rows { pitch, lanes, .. } = g.rows;
    for (p, (out, &start)) in out.chunks_exact_mut(lanes).zip(g.starts).enumerate() {
        let w = g.rows.weights(g.weights, g.first + p);
        let mut sums = [[T::zero(); VECTOR]; V];
        for (i, &a) in w.first.iter().enumerate() {
            for (j, &b) in w.second.iter().enumerate() {
                let at = start as usize + i * pitch[0] + j * pitch[1];
                add_row::<T, V, FMA>(&mut sums, T::of(a) * T::of(b), &g.tile[at..at + V * VECTOR]);
            }
        }
        out.fill(T::zero());
        for (sums, &w) in sums.as_flattened().chunks_exact(lanes).zip(w.last) {
            for (out, s) in out.iter_mut().zip(sums) {
                *out = add::<T, FMA>(*out, T::of(w), *s);
            }
        }
    }
}

/// The same for stretches of any length, and for radial kernels.
#[inline(always)]
fn gather_any<T: Real, const FMA: bool>(g: &Gather<T>, out: &mut [T]) {
    let Rows { pitch, lanes, .. } = g.rows;
    for (p, (out, &start)) in out.chunks_exact_mut(lanes).zip(g.starts).enumerate() {
        out.fill(T::zero());
        g.rows.for_taps(g.weights, g.first + p, |i, j, k, w: T| {
            let at = start as usize + i * pitch[0] + j * pitch[1] + k * lanes;
            for (out, x) in out.iter_mut().zip(&g.tile[at..at + lanes]) {
                *out = add::<T, FMA>(*out, w, *x);
            }
        });
    }
}

#[inline(always)]
fn scatter_rows<T: Real, const V: usize, const FMA: bool>(s: &Scatter<T>, tile: &mut [T]) {
    let Rows { pitch, lanes, .. } = s.rows;
    for f in s.footprints {
        let w = s.rows.weights(s.weights, f.point as usize);
        let sample = &s.samples[f.sample as usize * lanes..][..lanes];
        let mut row = [[T::zero(); VECTOR]; V];
        for (row, &w) in row.as_flattened_mut().chunks_exact_mut(lanes).zip(w.last) {
            for (r, x) in row.iter_mut().zip(sample) {
                *r = *x * T::of(w);
            }
        }
        let [(i0, i1), (j0, j1)] = f.inside;
        for (i, &a) in w.first[i0 as usize..i1 as usize].iter().enumerate() {
            for (j, &b) in w.second[j0 as usize..j1 as usize].iter().enumerate() {
                let at = f.start as usize + i * pitch[0] + j * pitch[1];
                let (to, _) = tile[at..at + V * VECTOR].as_chunks_mut::<VECTOR>();
                let w = T::of(a) * T::of(b);
                to.iter_mut().zip(&row).for_each(|(to, x)| add_vector::<T, FMA>(to, w, x));
            }
        }
    }
}

/// The same for stretches of any length, and for radial kernels.
#[inline(always)]
fn scatter_any<T: Real, const FMA: bool>(s: &Scatter<T>, tile: &mut [T]) {
    let Rows { pitch, lanes, .. } = s.rows;
    for f in s.footprints {
        let sample = &s.samples[f.sample as usize * lanes..][..lanes];
        let [i, j] = f.inside.map(|(first, end)| first as usize..end as usize);
        s.rows.for_taps(s.weights, f.point as usize, |a, b, k, w: T| {
            if i.contains(&a) && j.contains(&b) {
                let at = f.start as usize + (a - i.start) * pitch[0] + (b - j.start) * pitch[1] + k * lanes;
                for (to, x) in tile[at..at + lanes].iter_mut().zip(sample) {
                    *to = add::<T, FMA>(*to, w, *x);
                }
            }
        });
    }
}
