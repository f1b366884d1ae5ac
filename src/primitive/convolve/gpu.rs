//! Convolutions on a GPU: an invocation owns one place in some neighbouring output channels, for which it reads x once.
//!
//! Each sum is the same tree whatever the number of channels in a tile.

use super::ConvolveKernel;
use crate::error::Result;
use crate::plan::GpuKernel;
use crate::shader::{Along, Chunk, Draft, KernelFile, List, Listed, PerResult, Read, Stepper, Text, Window, word};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

const FILE: KernelFile = KernelFile { name: "convolve", text: include_str!("convolve.wgsl"), imports: &[] };

/// Names of an axis's parameters in the kernel's file.
const NAMES: [[&str; 7]; 3] = [
    ["n1", "m1", "taps1", "stride1", "step1", "offset1", "up1"],
    ["n2", "m2", "taps2", "stride2", "step2", "offset2", "up2"],
    ["n3", "m3", "taps3", "stride3", "step3", "offset3", "up3"],
];
const PERIODS: [[&str; 2]; 3] = [["period1", "turns1"], ["period2", "turns2"], ["period3", "turns3"]];

/// Output channels of an invocation, of which the first one that fits is taken.
const TILES: [usize; 4] = [8, 4, 3, 2];

/// The kernel with so many output channels in an invocation.
struct Tiled<'k> {
    kernel: &'k ConvolveKernel,
    tile: usize,
}

impl GpuKernel for ConvolveKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        s.drafts(&Tiled { kernel: self, tile: self.tile(s) })
    }
}

impl ConvolveKernel {
    /// Results of one dispatch, at most.
    fn most(&self, s: &Stepper) -> usize {
        let reads = (1 + self.load.factors.len()) * self.terms();
        s.most_results(s.element() * (1 + reads as u64))
    }

    /// The tile whose channels divide into whole tiles, and whose results into whole dispatches.
    fn tile(&self, s: &Stepper) -> usize {
        let (most, store) = (self.most(s), &s.store);
        let fits = |tile: &usize| {
            let block = tile * self.plane().0;
            let whole = store.is_contiguous(s.len) || store.run.is_multiple_of(block) && store.pitch <= most;
            self.channels.0.is_multiple_of(*tile) && block <= most && whole
        };
        TILES.into_iter().find(fits).unwrap_or(1)
    }
}

impl std::ops::Deref for Tiled<'_> {
    type Target = ConvolveKernel;

    fn deref(&self) -> &ConvolveKernel {
        self.kernel
    }
}

impl PerResult for Tiled<'_> {
    fn reads(&self) -> Vec<Read> {
        vec![Read::whole(&self.load)]
    }

    fn chunks(&self, s: &Stepper) -> Vec<Chunk> {
        let ((plane, entry), most) = (self.plane(), self.most(s));
        s.by_rows(if entry <= most { entry } else { self.tile * plane }, most)
    }

    /// Whole batch entries; of one channel of one entry, the rows that are near.
    fn reach(&self, chunk: Chunk) -> (usize, usize) {
        let (plane, entry) = self.plane();
        let input: usize = self.load.extents[1..].iter().product();
        let (first, last) = (chunk.first, chunk.first + chunk.count - 1);
        let b = first / entry;
        if self.channels.1 > 1 || first / plane != last / plane {
            return (b * input, (last / entry + 1) * input);
        }
        let rows = plane / self.axes[0].extent;
        let (m, end) = (first % plane / rows, last % plane / rows + 1);
        let (n, stop) = self.axes[0].reach(m, end, self.taps[0], self.input()[0]);
        let row = input / self.input()[0];
        // A read of nothing still binds an element.
        let n = n.min(self.input()[0] - 1);
        (b * input + n * row, b * input + stop.max(n + 1) * row)
    }

    fn lists(&self, _: Chunk) -> Vec<Listed> {
        let weight = self.weight.clone();
        let words = if weight.is_complex() { 2 } else { 1 };
        let len = words * weight.len();
        // Equal constants are equal lists.
        let of = BuildHasherDefault::<DefaultHasher>::new().hash_one(weight.key());
        let bits = move || {
            let both = |k: usize| [weight.get(k).re.to_bits(), weight.get(k).im.to_bits()];
            (0..weight.len()).flat_map(|k| both(k).into_iter().take(words)).collect()
        };
        #[allow(clippy::cast_possible_truncation)]
        let list = List::made(of as usize, "taps", (0, len), len, bits);
        vec![Listed { name: "taps", list, footprint: (0, len as i64 - 1) }]
    }

    fn along(&self, _: &Stepper) -> &'static [Along] {
        &[]
    }

    fn assemble(&self, t: &mut Text, reads: usize, _: &[Window], _: Option<Along>) -> Result<()> {
        let (input, (out, channels)) = (self.input(), self.channels);
        t.param("outputs", word("the channels", out)?);
        t.param("inputs", word("the channels", channels)?);
        t.param("plane", word("a channel", self.plane().0)?);
        t.param("behind", word("an axis", self.behind())?);
        let (by_out, by_in) = self.weight_strides();
        t.param("by_out", word("a kernel", by_out)?);
        t.param("by_in", word("a kernel", by_in)?);
        for (k, axis) in self.axes.iter().enumerate() {
            let [n, m, taps, stride, step, offset, up] = NAMES[k];
            t.param(n, word("an axis", input[k])?);
            t.param(m, word("an axis", axis.extent)?);
            t.param(taps, word("a kernel", self.taps[k])?);
            t.param(stride, word("a stride", axis.stride)?);
            t.wrapping_param(step, axis.step);
            t.wrapping_param(offset, axis.offset);
            t.param(up, word("an upsampling", axis.up)?);
            let [period, turns] = PERIODS[k];
            t.param(period, word("a period", axis.period.unwrap_or(0))?);
            t.param(turns, word("a period", axis.turns(self.taps[k]))?);
        }
        let flags = [
            ("WEIGHT_COMPLEX", self.weight.is_complex()),
            ("CONJ", self.weight.is_complex() && self.conj),
            ("UP", self.axes.iter().any(|a| a.up > 1)),
            ("PERIODIC", self.axes.iter().any(|a| a.period.is_some())),
        ];
        for (name, _) in flags.into_iter().filter(|(_, set)| *set) {
            t.defines.set(name, "");
        }
        t.defines.set("TILE", format!("{}u", self.tile));
        t.value_of(reads);
        Ok(())
    }

    fn file(&self, _: Option<Along>) -> (KernelFile, u64) {
        (FILE, 256 * self.tile as u64)
    }
}
