//! Projections and back-projections on the host. Tasks own what they write: views, bands of an image, slabs of a volume.

use super::pixels::View;
use super::rays::{ONE, Ray, rows_of};
use super::{Model, ProjectKernel};
use crate::loops::{CHUNK, Elem, Reader, Real, Slice, Taken};
use crate::plan::{HostLoops, Kernel, Place};
use rayon::prelude::*;
use std::ops::Range;

/// Rows of a band, slices of a slab.
const BAND: usize = 32;
const SLAB: usize = 8;

impl HostLoops for ProjectKernel {
    type Tables<T: Real> = Vec<View>;

    fn tables<T: Real>(&self) -> Vec<View> {
        match self.model {
            Model::Rays => Vec::new(),
            Model::Pixels => (0..self.scan.geometry().angles.len()).map(|v| View::new(&self.scan, v)).collect(),
        }
    }

    fn run<T: Real, E: Elem<T>>(&self, views: &Vec<View>, sources: &[Option<Slice<T>>], _: &mut [T], to: Place<E>) {
        let dst = to.stretch(self.output_len());
        let (input, output) = (self.load.extents[1], self.row());
        let one = |x: &[E], d: &mut [E]| match (self.model, self.back) {
            (Model::Rays, false) => self.project::<T, E>(x, d),
            (Model::Rays, true) => self.back_project::<T, E>(x, d),
            (Model::Pixels, true) => self.sample::<T, E>(views, x, d),
            (Model::Pixels, false) => self.spread::<T, E>(views, x, d),
        };
        let reader = Reader::new(&self.load, sources[0]);
        if let Some(x) = reader.plain() {
            dst.par_chunks_mut(output).zip(x.par_chunks(input)).for_each(|(d, x)| one(x, d));
            return;
        }
        let mut read = vec![E::null(); input];
        for (k, d) in dst.chunks_mut(output).enumerate() {
            read.par_chunks_mut(CHUNK).enumerate().for_each(|(c, part)| reader.read(k * input + c * CHUNK, part));
            one(&read, d);
        }
    }

    fn taken(&self, element: usize, same: bool, _: usize) -> Taken {
        let plain = same && self.load.collapsed().is_plain();
        let copied = if plain { 0 } else { self.load.extents[1] };
        // A column of a cone's detector.
        let column = match (self.model, self.back) {
            (Model::Rays, false) if self.scan.geometry().is_volume() => self.scan.geometry().rows,
            _ => 0,
        };
        Taken { each: (column * element) as u64, shared: (copied * element) as u64 }
    }

    fn table_bytes(&self) -> u64 {
        match self.model {
            Model::Rays => 0,
            Model::Pixels => (self.scan.geometry().angles.len() * size_of::<View>()) as u64,
        }
    }
}

/// The whole part of a position, and the weights of the two pixels that it lies between.
#[inline(always)]
fn between<T: Real>(position: i32) -> (i64, T, T) {
    let rest = (position & 0xffff) as f32 * (1.0 / 65536.0);
    (i64::from(position >> 16), T::of(1.0 - rest), T::of(rest))
}

/// The first of two neighbours and their weights, of those that are within `own`, counted from its start.
#[inline(always)]
fn within<T: Real>((at, low, high): (i64, T, T), own: &Range<i64>) -> [Option<(usize, T)>; 2] {
    let one = |at: i64, w: T| own.contains(&at).then(|| ((at - own.start) as usize, w));
    [one(at, low), one(at + 1, high)]
}

impl ProjectKernel {
    /// Strides of a step and of the other axis of a ray, and the other axis' extent.
    fn strides(&self, ray: &Ray) -> (usize, usize, i64) {
        let [_, ny, nx] = self.scan.image();
        if ray.along_x { (1, nx, ny as i64) } else { (nx, 1, nx as i64) }
    }

    fn project<T: Real, E: Elem<T>>(&self, x: &[E], d: &mut [E]) {
        let (g, [nz, ny, nx]) = (self.scan.geometry(), self.scan.image());
        let words = self.scan.rays();
        let (view, each) = (g.rows * g.detectors, self.scan.ray_words());
        d.par_chunks_mut(view).zip(words.par_chunks(g.detectors * each)).for_each(|(d, words)| {
            let mut column = vec![E::null(); if g.is_volume() { g.rows } else { 0 }];
            for (c, words) in words.chunks_exact(each).enumerate() {
                let ray = Ray::of(words);
                let (step, across, n) = self.strides(&ray);
                let length = T::of(ray.length);
                if !g.is_volume() {
                    d[c] = gather::<T, E>(&ray, x, [step, across], n) * length;
                    continue;
                }
                column.fill(E::null());
                for k in ray.steps.0..ray.steps.1 {
                    let (p, q) = (ray.p.at(k), ray.q.at(k));
                    let rows = rows_within(p, q, &(0..nz as i64), g.rows);
                    for (j, w) in within::<T>(between(ray.u.at(k)), &(0..n)).into_iter().flatten() {
                        let x = &x[k as usize * step + j * across..];
                        for r in rows.clone() {
                            for (z, v) in within::<T>(between(p + rows_of(r, q)), &(0..nz as i64)).into_iter().flatten() {
                                column[r as usize] = column[r as usize] + x[z * ny * nx] * (v * w);
                            }
                        }
                    }
                }
                for (r, total) in column.iter().enumerate() {
                    d[r * g.detectors + c] = *total * length;
                }
            }
        });
    }

    /// Every ray is walked within the band or the slab that a task owns: sums go view by view, ray by ray.
    fn back_project<T: Real, E: Elem<T>>(&self, y: &[E], d: &mut [E]) {
        let (g, [_, _, nx]) = (self.scan.geometry(), self.scan.image());
        let words = self.scan.rays();
        let (view, each) = (g.rows * g.detectors, self.scan.ray_words());
        if g.is_volume() {
            let [_, ny, _] = self.scan.image();
            d.par_chunks_mut(SLAB * ny * nx).enumerate().for_each(|(slab, d)| {
                d.fill(E::null());
                let first = (slab * SLAB) as i64;
                let own = first..first + (d.len() / (ny * nx)) as i64;
                for (y, words) in y.chunks_exact(view).zip(words.chunks_exact(g.detectors * each)) {
                    for (c, words) in words.chunks_exact(each).enumerate() {
                        self.climb::<T, E>(&Ray::of(words), &y[c..], d, &own);
                    }
                }
            });
            return;
        }
        d.par_chunks_mut(BAND * nx).enumerate().for_each(|(band, d)| {
            d.fill(E::null());
            let first = (band * BAND) as i64;
            let own = first..first + (d.len() / nx) as i64;
            for (y, words) in y.chunks_exact(view).zip(words.chunks_exact(g.detectors * each)) {
                for (y, words) in y.iter().zip(words.chunks_exact(each)) {
                    cross::<T, E>(&Ray::of(words), *y, d, nx, &own);
                }
            }
        });
    }

    /// Adds a column of the detector to the slices that a task owns.
    fn climb<T: Real, E: Elem<T>>(&self, ray: &Ray, y: &[E], d: &mut [E], own: &Range<i64>) {
        let (g, [_, ny, nx]) = (self.scan.geometry(), self.scan.image());
        let (step, across, n) = self.strides(ray);
        let length = T::of(ray.length);
        for k in ray.steps.0..ray.steps.1 {
            let (p, q) = (ray.p.at(k), ray.q.at(k));
            let rows = rows_within(p, q, own, g.rows);
            for (j, w) in within::<T>(between(ray.u.at(k)), &(0..n)).into_iter().flatten() {
                let d = &mut d[k as usize * step + j * across..];
                for r in rows.clone() {
                    for (z, v) in within::<T>(between(p + rows_of(r, q)), own).into_iter().flatten() {
                        let to = &mut d[z * ny * nx];
                        *to = *to + y[r as usize * g.detectors] * (v * w * length);
                    }
                }
            }
        }
    }

    /// The weight and the place on the detector of each pixel of row j.
    #[inline(always)]
    fn for_pixels(&self, view: &View, j: usize, mut f: impl FnMut(usize, i64, i32, f32)) {
        let [_, _, nx] = self.scan.image();
        for i in 0..nx {
            let depth = view.depth(i as i64, j as i64);
            f(i, depth, view.index(i as i64, j as i64, depth) as i32, view.weight(depth));
        }
    }

    /// Pixels sample the views, each between two detector pixels (and rows).
    fn sample<T: Real, E: Elem<T>>(&self, views: &[View], y: &[E], d: &mut [E]) {
        let (g, [_, ny, nx], row) = (self.scan.geometry(), self.scan.image(), self.scan.row());
        let (columns, rows) = (0..g.detectors as i64, 0..g.rows as i64);
        d.par_chunks_mut(nx).enumerate().for_each(|(line, d)| {
            let (z, j) = (line / ny, line % ny);
            d.fill(E::null());
            for (view, y) in views.iter().zip(y.chunks_exact(g.rows * g.detectors)) {
                self.for_pixels(view, j, |i, depth, s, weight| {
                    let mut total = E::null();
                    let taps = within::<T>(between(s), &columns);
                    if !g.is_volume() {
                        taps.into_iter().flatten().for_each(|(c, w)| total = total + y[c] * w);
                    } else {
                        for (r, v) in within::<T>(between(row.index(z as i64, depth) as i32), &rows).into_iter().flatten() {
                            let y = &y[r * g.detectors..];
                            taps.into_iter().flatten().for_each(|(c, w)| total = total + y[c] * (v * w));
                        }
                    }
                    d[i] = d[i] + total * T::of(weight);
                });
            }
        });
    }

    /// The transpose of `sample`: a task owns a view.
    fn spread<T: Real, E: Elem<T>>(&self, views: &[View], x: &[E], d: &mut [E]) {
        let (g, [_, ny, nx], row) = (self.scan.geometry(), self.scan.image(), self.scan.row());
        let (columns, rows) = (0..g.detectors as i64, 0..g.rows as i64);
        d.par_chunks_mut(g.rows * g.detectors).zip(views.par_iter()).for_each(|(d, view)| {
            d.fill(E::null());
            for (line, x) in x.chunks_exact(nx).enumerate() {
                let (z, j) = (line / ny, line % ny);
                self.for_pixels(view, j, |i, depth, s, weight| {
                    let (x, taps) = (x[i] * T::of(weight), within::<T>(between(s), &columns));
                    if !g.is_volume() {
                        taps.into_iter().flatten().for_each(|(c, w)| d[c] = d[c] + x * w);
                        return;
                    }
                    for (r, v) in within::<T>(between(row.index(z as i64, depth) as i32), &rows).into_iter().flatten() {
                        let d = &mut d[r * g.detectors..];
                        taps.into_iter().flatten().for_each(|(c, w)| d[c] = d[c] + x * (v * w));
                    }
                });
            }
        });
    }
}

/// The steps at which both of the pixels that a ray lies between are within `own`. Positions go one way, so they follow one another.
fn inner(ray: &Ray, steps: Range<i32>, own: &Range<i64>) -> Range<i32> {
    let inside = |k: &i32| {
        let j = i64::from(ray.u.at(*k) >> 16);
        own.start <= j && j + 1 < own.end
    };
    match (steps.clone().find(inside), steps.clone().rev().find(inside)) {
        (Some(first), Some(last)) => first..last + 1,
        _ => steps.start..steps.start,
    }
}

/// Sums side by side along a ray: additions do not wait for one another.
const SUMS: usize = 4;

/// What a ray sums up, in pixels along it: strides of a step and of the other axis, and the other axis' extent.
fn gather<T: Real, E: Elem<T>>(ray: &Ray, x: &[E], [step, across]: [usize; 2], n: i64) -> E {
    let steps = ray.steps.0..ray.steps.1;
    let inner = inner(ray, steps.clone(), &(0..n));
    let mut sums = [E::null(); SUMS];
    for k in (steps.start..inner.start).chain(inner.end..steps.end) {
        for (j, w) in within::<T>(between(ray.u.at(k)), &(0..n)).into_iter().flatten() {
            sums[0] = sums[0] + x[k as usize * step + j * across] * w;
        }
    }
    let mut positions = ray.u.from(inner.start);
    let mut add = |k: i32, sum: &mut E| {
        let (j, low, high) = between::<T>(positions.next().unwrap_or_default());
        let at = k as usize * step + j as usize * across;
        *sum = *sum + (x[at] * low + x[at + across] * high);
    };
    let mut k = inner.start;
    while k + SUMS as i32 <= inner.end {
        for sum in &mut sums {
            add(k, sum);
            k += 1;
        }
    }
    for (k, sum) in (k..inner.end).zip(&mut sums) {
        add(k, sum);
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

/// Adds a ray's value to the rows that a task owns.
fn cross<T: Real, E: Elem<T>>(ray: &Ray, y: E, d: &mut [E], nx: usize, own: &Range<i64>) {
    let y = y * T::of(ray.length);
    if !ray.along_x {
        let steps = i64::from(ray.steps.0).max(own.start)..i64::from(ray.steps.1).min(own.end);
        let (steps, row) = (steps.start as i32..(steps.end as i32).max(steps.start as i32), 0..nx as i64);
        spread_along::<T, E>(ray, y, d, steps, &row, [nx, 1], own.start);
        return;
    }
    spread_along::<T, E>(ray, y, d, steps_within(ray, own), own, [1, nx], 0);
}

/// Adds a ray's value to the pixels that it lies between at these steps, those within `own` along the other axis: strides of a step and
/// of the other axis, and the step that the first pixel is of.
fn spread_along<T: Real, E: Elem<T>>(
    ray: &Ray,
    y: E,
    d: &mut [E],
    steps: Range<i32>,
    own: &Range<i64>,
    [step, across]: [usize; 2],
    first: i64,
) {
    // A step touches pixels that no other one does.
    let inner = inner(ray, steps.clone(), own);
    let place = |k: i32| (i64::from(k) - first) as usize * step;
    for k in (steps.start..inner.start).chain(inner.end..steps.end) {
        for (j, w) in within::<T>(between(ray.u.at(k)), own).into_iter().flatten() {
            let to = &mut d[place(k) + j * across];
            *to = *to + y * w;
        }
    }
    for (k, position) in inner.clone().zip(ray.u.from(inner.start)) {
        let (j, low, high) = between::<T>(position);
        let at = place(k) + (j - own.start) as usize * across;
        d[at] = d[at] + y * low;
        d[at + across] = d[at + across] + y * high;
    }
}

/// The steps at which a ray may touch the rows that a task owns, and a few more.
fn steps_within(ray: &Ray, own: &Range<i64>) -> Range<i32> {
    let (first, end) = ray.steps;
    let (u, du) = (f64::from(ray.u.start) / ONE as f64, f64::from(ray.u.slope) / f64::from(1 << 30));
    let (a, b) = ((own.start as f64 - 1.5 - u) / du, (own.end as f64 + 0.5 - u) / du);
    if !a.is_finite() || !b.is_finite() {
        return first..end;
    }
    let (low, high) = (a.min(b).clamp(-1e6, 1e6) as i32 - 1, a.max(b).clamp(-1e6, 1e6) as i32 + 2);
    first.max(low)..end.min(high)
}

/// The detector rows whose rays, at slice p + r·q, may touch the slices `own`, and a few more.
fn rows_within(p: i32, q: i32, own: &Range<i64>, rows: usize) -> Range<i32> {
    let (p, q) = (f64::from(p) / ONE as f64, f64::from(q) / f64::from(1 << 28));
    let at = |z: f64| ((z - p) / q).clamp(-1.0, rows as f64 + 1.0) as i32;
    let first = (at(own.start as f64 - 1.0) - 1).max(0);
    first..(at(own.end as f64) + 2).clamp(first, rows as i32)
}
