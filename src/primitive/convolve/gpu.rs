//! Convolutions on a GPU: an invocation owns one result.

use super::ConvolveKernel;
use crate::error::Result;
use crate::plan::GpuKernel;
use crate::shader::{Chunk, Draft, KernelFile, List, Listed, PerResult, Read, Stepper, Text, Window, word};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

const FILE: KernelFile = KernelFile { name: "convolve", text: include_str!("convolve.wgsl"), imports: &[] };

/// Names of an axis's parameters in the kernel's file.
const NAMES: [[&str; 7]; 3] = [
    ["n1", "m1", "taps1", "stride1", "step1", "offset1", "up1"],
    ["n2", "m2", "taps2", "stride2", "step2", "offset2", "up2"],
    ["n3", "m3", "taps3", "stride3", "step3", "offset3", "up3"],
];
const PERIODS: [[&str; 2]; 3] = [["period1", "turns1"], ["period2", "turns2"], ["period3", "turns3"]];

impl GpuKernel for ConvolveKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        s.drafts(self)
    }
}

impl PerResult for ConvolveKernel {
    fn reads(&self) -> Vec<Read> {
        vec![Read::whole(&self.load)]
    }

    fn chunks(&self, s: &Stepper) -> Vec<Chunk> {
        let reads = (1 + self.load.factors.len()) * self.terms();
        s.by_rows(self.plane().1, s.most_results(s.element() * (1 + reads as u64)))
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

    fn assemble(&self, t: &mut Text, reads: usize, _: &[Window]) -> Result<()> {
        let (input, (out, channels)) = (self.input(), self.channels);
        t.param("outputs", word("the channels", out)?);
        t.param("inputs", word("the channels", channels)?);
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
        t.value_of(reads);
        Ok(())
    }

    fn file(&self) -> (KernelFile, u64) {
        (FILE, 256)
    }
}
