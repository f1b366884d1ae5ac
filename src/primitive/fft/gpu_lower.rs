//! Fourier transforms in a plan for a GPU: axis by axis, in the passes that a length needs, large values in panels.

use super::Fft;
use super::gpu::PassKernel;
use super::passes::{self, FftPass};
use crate::access::{AxisMap, MapAxis, Post, Store};
use crate::error::{Error, Result};
use crate::ir::{Lowered, Lowering};
use crate::plan::GpuSide;
use crate::primitive::map::MapKernel;
use crate::shader::GpuLimits;

/// Elements of (n, inner) that the kernels' index arithmetic holds.
const MOST_LINES: usize = 1 << 31;

/// Whether all lines along these axes, padded for a chirp where need be, fit a binding.
pub(super) fn lines_fit(axes: &[usize], extents: &[usize], limits: &GpuLimits) -> Result<()> {
    for &a in axes {
        let n = extents[a] as u64;
        let line = 8 * if passes::knows(extents[a], limits) { n } else { 2 * n };
        if line > limits.max_binding {
            let what = format!("one line of a transform of length {n}");
            return Err(Error::TooBig { what, needed: line, limit: limits.max_binding });
        }
    }
    Ok(())
}

/// One axis after the other, innermost first; each in the passes that its length needs.
pub(super) fn lower(to: &mut dyn Lowering, x: &Lowered, f: &Fft, gpu: GpuSide) -> Result<Lowered> {
    let mut v = x.clone();
    for (k, &axis) in f.axes.iter().rev().enumerate() {
        let scale = if k + 1 == f.axes.len() { f.scale } else { 1.0 };
        let n = v.extents[axis];
        let shift = if f.centered { n / 2 } else { 0 };
        v = Line { axis, inverse: f.inverse, shift, scale, paired: f.paired, gpu }.lower(to, &v)?;
    }
    Ok(v)
}

/// A transform along one axis.
struct Line {
    axis: usize,
    inverse: bool,
    shift: usize,
    scale: f64,
    paired: bool,
    gpu: GpuSide,
}

impl Line {
    fn lower(&self, to: &mut dyn Lowering, x: &Lowered) -> Result<Lowered> {
        let e = &x.extents;
        let (outer, n) = (e[..self.axis].iter().product::<usize>(), e[self.axis]);
        let inner: usize = e[self.axis + 1..].iter().product();
        let limit = self.gpu.limits.bindable().min(MOST_LINES);
        if outer * n * inner <= limit {
            return self.passes(to, x, None, outer, inner);
        }
        // Panels: as many whole lines as one binding holds. No weights are fused between those of a pair.
        let apart = Line { paired: false, ..*self };
        if n > limit {
            let what = format!("one line of a transform of length {n}");
            return Err(Error::TooBig { what, needed: 8 * n as u64, limit: 8 * limit as u64 });
        }
        let three = x.load().reshaped(&[outer, n, inner]);
        let three = three.ok_or_else(|| Error::Shape(format!("{e:?} has no axis {}", self.axis)))?;
        let out = to.value(e, true);
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
                let read = three.mapped(&axes, &panel);
                let read = read.ok_or_else(|| Error::Shape(format!("{e:?} cannot be read in panels")))?;
                // Whole rows lie in one stretch and are read where they are; columns are packed first.
                let packed = to.step(self.gpu.kernel(MapKernel::of(read)), &panel, x.complex);
                let whole = columns == inner;
                let store = Store {
                    value: out.value,
                    run: if whole { rows * n * inner } else { columns },
                    pitch: if whole { rows * n * inner } else { inner },
                    start: o * n * inner + i,
                };
                if whole {
                    apart.passes(to, &packed, Some(store), rows, columns)?;
                } else {
                    let done = apart.passes(to, &packed, None, rows, columns)?;
                    to.part(self.gpu.kernel(MapKernel::of(done.load())), store);
                }
            }
        }
        Ok(out)
    }

    /// The passes over (outer, n, inner); the last one stores into a part of a value where that is given.
    fn passes(
        &self,
        to: &mut dyn Lowering,
        x: &Lowered,
        into: Option<Store>,
        outer: usize,
        inner: usize,
    ) -> Result<Lowered> {
        let n = x.extents.iter().product::<usize>() / (outer * inner);
        let passes: Vec<FftPass> = passes::plan(n, inner, self.paired, &self.gpu.limits);
        let last = passes.len() - 1;
        let mut v = x.clone();
        for (k, pass) in passes.into_iter().enumerate() {
            let kernel = self.gpu.kernel(PassKernel {
                load: v.load(),
                pass,
                outer,
                inner,
                first: k == 0,
                last: k == last,
                inverse: self.inverse,
                shift: self.shift,
                middle: None,
                post: Post::scalar(&x.extents, if k == last { self.scale } else { 1.0 }),
                keep: (0, n),
                folded: None,
            });
            match into {
                Some(store) if k == last => to.part(kernel, store),
                _ => v = to.step(kernel, &x.extents, true),
            }
        }
        Ok(v)
    }
}
