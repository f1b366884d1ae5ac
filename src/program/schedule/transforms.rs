//! Fourier transforms in a plan for a GPU: axis by axis, in the passes that a length needs, large values in panels. A pass
//! stores what is read of its axis, and goes on through weights to the transform back where that follows.

use super::*;
use crate::fft::FftLimits;

impl Scheduler {
    /// One axis after the other, innermost first; each in the passes that its length needs.
    pub(super) fn fft(&mut self, x: Val, f: &FftAxes) -> Result<Val> {
        let mut v = x;
        for (k, &axis) in f.axes.iter().rev().enumerate() {
            let scale = if k + 1 == f.axes.len() { f.scale } else { 1.0 };
            let n = v.load.extents[axis];
            let shift = if f.centered { n / 2 } else { 0 };
            v = self.fft_axis(v, &AxisFft { axis, inverse: f.inverse, shift, scale, limits: f.limits })?;
        }
        Ok(v)
    }

    /// The inverse along one axis of the pass that was just planned, after weights that were not applied yet: both in that
    /// pass. None where it is not that, or they do not fit.
    pub(super) fn filter_pass(&mut self, x: &Val, f: &FftAxes) -> Option<Val> {
        let &[axis] = f.axes else { return None };
        let extents = &x.load.extents;
        let n = extents[axis];
        let around = (extents[..axis].iter().product::<usize>(), extents[axis + 1..].iter().product::<usize>());
        if x.load.factors.is_empty() {
            return None;
        }
        let (room, limit) = (self.target.max_factors(), self.target.max_binding() / 8);
        let step = self.just_made(x)?;
        let Kernel::FftPass { load, pass, outer, inner, last: true, inverse, shift, middle, post, keep, .. } =
            &mut step.kernel
        else {
            return None;
        };
        let same = (*outer, *inner) == around && *keep == (0, n);
        let origin = if f.centered { n / 2 } else { 0 };
        let fits = load.factors.len() + x.load.factors.len() <= room
            && x.load.factors.iter().all(|w| (w.weight.len() as u64) < limit);
        if !same || !fits || *inverse == f.inverse || *shift != origin || middle.is_some() || !post.factors.is_empty() {
            return None;
        }
        *pass = pass.filter()?;
        let scale = post.scale * x.load.scale;
        *middle = Some(Post { extents: extents.clone(), factors: x.load.factors.clone(), scale });
        *post = Post::scalar(extents, f.scale);
        Some(Val { load: Load::whole(x.load.value, extents), complex: true, sole: true })
    }

    /// A crop of the axis whose last pass was just planned: the rest is not stored. Gives what is left to be mapped.
    pub(super) fn crop_pass(&mut self, x: &Val, axes: &[MapAxis]) -> Option<(Val, Vec<MapAxis>)> {
        if !x.load.factors.is_empty() {
            return None;
        }
        let extents = x.load.extents.clone();
        let step = self.just_made(x)?;
        let Kernel::FftPass { outer, inner, last: true, post, keep, .. } = &mut step.kernel else { return None };
        let n = keep.1;
        let whole = keep.0 == 0 && *outer * n * *inner == extents.iter().product::<usize>();
        let axis = (0..extents.len())
            .find(|&a| extents[a] == n && extents[..a].iter().product::<usize>() == *outer && n > 1)?;
        let crops = |m: &MapAxis| match m {
            MapAxis::From(a, m) if *a == axis => {
                let len = usize::try_from(m.hi).ok()?;
                (m.num == 1 && m.is_total(len) && !m.wrap && len < n).then_some((m.off as usize, len))
            }
            _ => None,
        };
        let (at, (first, len)) = axes.iter().enumerate().find_map(|(k, m)| Some((k, crops(m)?)))?;
        if !whole || !post.factors.is_empty() {
            return None;
        }
        let mut kept = extents;
        kept[axis] = len;
        *keep = (first, first + len);
        post.extents = kept.clone();
        let value = x.load.value;
        step.store = Store::whole(value, kept.iter().product());
        self.values[value.at()].extents = kept.clone();
        let load = Load { scale: x.load.scale, ..Load::whole(value, &kept) };
        let mut axes = axes.to_vec();
        axes[at] = MapAxis::From(axis, AxisMap::identity(len));
        Some((Val { load, ..*x }, axes))
    }

    fn fft_axis(&mut self, v: Val, f: &AxisFft) -> Result<Val> {
        let e = v.load.extents.clone();
        let (outer, n) = (e[..f.axis].iter().product::<usize>(), e[f.axis]);
        let inner: usize = e[f.axis + 1..].iter().product();
        // What one binding holds wherever it starts: 64 elements are left for its alignment.
        let limit = (self.target.max_binding() / 8) as usize - 64;
        let source = self.values[v.load.value.at()].len();
        let weights = v.load.factors.iter().map(|w| w.weight.len()).max().unwrap_or(0);
        if (outer * n * inner).max(source).max(weights) <= limit {
            return Ok(self.fft_passes(v, f, &e, outer, inner));
        }
        // Panels: as many whole lines as one binding holds.
        if n > limit {
            let what = format!("one line of a transform of length {n}");
            return Err(Error::TooBig { what, needed: 8 * n as u64, limit: 8 * limit as u64 });
        }
        let v = self.stored(v);
        let x = self.through(v, |l| l.reshaped(&[outer, n, inner]))?;
        let out = self.value(e.clone(), true);
        let wide = inner.min(limit / n).max(1);
        let tall = if wide == inner { outer.min(limit / (n * inner)).max(1) } else { 1 };
        for o in (0..outer).step_by(tall) {
            let rows = tall.min(outer - o);
            for i in (0..inner).step_by(wide) {
                let columns = wide.min(inner - i);
                let cut = |from: usize, start: usize, input: usize, output: usize| {
                    MapAxis::From(from, AxisMap::affine(1, start as i64, 1, input, output))
                };
                let axes = [cut(0, o, outer, rows), cut(1, 0, n, n), cut(2, i, inner, columns)];
                let panel = [rows, n, columns];
                let part = self.through(x.clone(), |l| l.mapped(&axes, &panel))?;
                // Whole rows lie in one stretch; columns are packed first.
                let part = if columns == inner {
                    part
                } else {
                    self.step(Kernel::Map { load: part.load }, &panel, part.complex)
                };
                let part = Val { sole: false, ..part };
                let done = self.fft_passes(part, f, &panel, rows, columns);
                let whole = columns == inner;
                let store = Store {
                    value: out,
                    run: if whole { rows * n * inner } else { columns },
                    pitch: if whole { rows * n * inner } else { inner },
                    start: o * n * inner + i,
                };
                match (whole, self.steps.last_mut()) {
                    (true, Some(last)) => last.store = store,
                    _ => self.push(Step { kernel: Kernel::Map { load: done.load }, store }),
                }
            }
        }
        Ok(Val { load: Load::whole(out, &e), complex: true, sole: true })
    }

    fn fft_passes(&mut self, v: Val, f: &AxisFft, extents: &[usize], outer: usize, inner: usize) -> Val {
        let n = v.load.extents.iter().product::<usize>() / (outer * inner);
        let passes = fft::plan(n, inner, &f.limits);
        let last = passes.len() - 1;
        let mut v = v;
        for (k, pass) in passes.into_iter().enumerate() {
            let post = Post::scalar(extents, if k == last { f.scale } else { 1.0 });
            let kernel = Kernel::FftPass {
                load: v.load,
                pass,
                outer,
                inner,
                first: k == 0,
                last: k == last,
                inverse: f.inverse,
                shift: f.shift,
                middle: None,
                post,
                keep: (0, n),
            };
            v = self.step(kernel, extents, true);
        }
        v
    }
}

/// A transform along several axes.
pub(super) struct FftAxes<'a> {
    pub(super) axes: &'a [usize],
    pub(super) inverse: bool,
    pub(super) centered: bool,
    pub(super) scale: f64,
    pub(super) limits: FftLimits,
}

/// The part of it along one axis.
struct AxisFft {
    axis: usize,
    inverse: bool,
    shift: usize,
    scale: f64,
    limits: FftLimits,
}
