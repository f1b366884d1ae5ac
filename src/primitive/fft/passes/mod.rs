//! Kernels for batched DFTs of smooth length along one axis of an array.
//!
//! [`plan`] turns a length into passes, one dispatch each, over the logical C-order array (outer, N, inner). A pass is a file
//! around the caller's `load` and `store`, which is where padding, coil maps and masks are fused; the straight-line butterflies
//! in it are generated for its radices. A pass that holds whole lines can go on to a filter: the caller's
//! weights and the transform back, without a store in between. The same build makes lines of prime length, by a convolution. Two shapes come from the same butterflies: stages in workgroup
//! memory for GPUs, and one butterfly per invocation for CPU adapters.
//!
//! What a length takes, in passes and bytes for each element, where a workgroup has 16 | 32 | 48 KiB:
//!
//! | lines | passes | bytes |
//! |---|---|---|
//! | contiguous, up to 4096 / 8192 / 8192 elements | 1 | 16 |
//! | strided, up to 512 / 1024 / 1536: eight columns, a line of a cache, or more; of fewer columns all | 1 | 16 |
//! | a filter, or a chirp with its padding, up to 4096 / 8192 / 8192: one column or more | 1 | 16 of what is not padding |
//! | a prime p with a smooth p − 1, as far | 1 | 16 |
//! | longer ones up to the square of the second row | 2, a filter 4 | 32, 64 |
//!
//! | room | holds |
//! |---|---|
//! | `radix` | how lengths split |
//! | `butterfly` | the DFT of a few values in registers, as text |
//! | `twiddle` | the factors between stages: table and access |
//! | `step` | the Stockham rule: where elements lie before and after |
//! | `packing` | how many lines and invocations a workgroup has |
//! | `halves` | what of a line is zero or not wanted |
//! | `prime` | lines of prime length as convolutions: order and factors |
//! | `global`, `workgroup` | the two kinds of pass: `global.wgsl`, `workgroup.wgsl`, and what the names in them stand for |
//! | `pass.wgsl` | what both share: parameters, the Stockham rule, the ends of a transform |

mod butterfly;
mod global;
mod halves;
mod packing;
mod prime;
mod radix;
mod step;
#[cfg(test)]
mod tests;
mod twiddle;
mod workgroup;

use super::smooth::is_smooth;
use crate::error::Result;
use crate::shader::{GpuLimits, KernelShape, expand, word};
use global::GlobalPass;
use halves::Half;
use step::Step;
use workgroup::{Course, WorkgroupPass};

/// Longest butterfly in registers on a GPU, where 16 complex values still fit everywhere.
const GPU_RADIX: usize = 16;
/// Longest butterfly on a CPU adapter: spilling there costs less than another pass.
const CPU_RADIX: usize = 64;
/// Adjacent columns from which lanes along the columns use most of each 64-byte line they touch.
const COALESCED: usize = 4;
/// Adjacent columns that fill a cache line of 64 bytes.
const LINE: usize = 8;

/// One application of a plan: everything about it that is a value, not structure.
#[derive(Clone, Copy, Debug)]
pub struct FftCall {
    /// The conjugate DFT, `exp(+2πi nk/N)`, without a factor.
    pub inverse: bool,
    /// Centred transforms: N/2, the index of the origin in both domains; else 0.
    pub shift: usize,
    /// A factor on the result.
    pub scale: f32,
    /// The first outer index of this dispatch.
    pub batch0: usize,
}

/// Which results of a last pass are added up instead of stored: outer indices count (front, terms, behind).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Folded {
    /// Terms of each sum, added in order.
    pub terms: usize,
    /// Outer indices behind those of the terms.
    pub behind: usize,
}

/// Over what a pass runs.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// Outer extent.
    pub outer: usize,
    /// Adjacent columns.
    pub inner: usize,
    /// What is added up of a pass that [folds](FftPass::folding).
    pub folded: Option<Folded>,
}

impl Lines {
    /// Outer indices that are stored.
    pub fn stored(&self) -> usize {
        self.outer / self.folded.map_or(1, |f| f.terms)
    }
}

/// One dispatch of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FftPass {
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Global(GlobalPass),
    Workgroup(WorkgroupPass),
}

/// Whether there are passes for lines of `n`: it is [smooth](is_smooth), or a prime whose convolution fits a workgroup.
pub fn knows(n: usize, limits: &GpuLimits) -> bool {
    let fits = || limits.shape == KernelShape::Gpu && n <= packing::longest(limits, 1) && prime::is_rader(n);
    is_smooth(n) || (fits() && one_pass(n, 1, limits).is_some())
}

/// The passes of a DFT of length `n` with `inner` adjacent columns, in order. Every pass but the last writes an array of the
/// same size as the input. `paired`: the way back follows behind weights, or this is that way back. Empty where no kernel
/// [knows](knows) `n`: such lengths are rewritten first.
pub fn plan(n: usize, inner: usize, paired: bool, limits: &GpuLimits) -> Vec<FftPass> {
    if !knows(n, limits) {
        return Vec::new();
    }
    let inner = inner.max(1);
    let global = |step| Kind::Global(GlobalPass { step, filter: false, folds: false });
    let kinds: Vec<Kind> = match limits.shape {
        _ if n == 1 => Step::chain(&[1]).into_iter().map(global).collect(),
        KernelShape::Cpu => Step::chain(&lengths(n, CPU_RADIX)).into_iter().map(global).collect(),
        KernelShape::Gpu if inner >= COALESCED && is_butterfly(n) => Step::chain(&[n]).into_iter().map(global).collect(),
        KernelShape::Gpu => {
            // Of strided lines a workgroup has as many side by side as fill a cache line, or most of what memory gives is thrown
            // away: two passes that are wide move more bytes and take less time (measured on an H200 from 2048 on). Not less than
            // the four of a pair, or than those of a convolution twice as long.
            let columns = if paired || !is_smooth(n) { 1 } else { inner.min(LINE) };
            let whole = n <= packing::longest(limits, columns);
            match one_pass(n, inner, limits).filter(|_| whole || !is_smooth(n)) {
                Some(pass) => vec![Kind::Workgroup(pass)],
                None => {
                    let lengths = lengths(n, packing::longest(limits, LINE));
                    let pass = |step| Kind::Workgroup(workgroup(step, inner, limits));
                    Step::chain(&lengths).into_iter().map(pass).collect()
                }
            }
        }
    };
    kinds.into_iter().map(|kind| FftPass { kind }).collect()
}

/// The choice of a tile for lines of `n` with `inner` adjacent columns, of a transform or of a filter, and its candidates; None where
/// there is none, or where they take more than one pass.
#[cfg(feature = "gpu")]
pub fn choice(n: usize, inner: usize, filter: bool, limits: &GpuLimits) -> Option<(String, usize)> {
    let [pass] = &plan(n, inner, filter, limits)[..] else { return None };
    let pass = if filter { pass.filter(inner, limits)? } else { pass.clone() };
    let Kind::Workgroup(pass) = pass.kind else { return None };
    let lines = pass.lines(inner);
    let candidates = packing::candidates(&lines, limits).len();
    Some((packing::what(&lines)?, candidates)).filter(|(_, candidates)| *candidates > 1)
}

/// A line of `n` in one pass, where a workgroup and its invocations hold it.
fn one_pass(n: usize, inner: usize, limits: &GpuLimits) -> Option<WorkgroupPass> {
    let step = Step::chain(&[n]).into_iter().next()?;
    let pass = workgroup(step, inner, limits);
    pass.tile.fits(&pass.lines(inner), limits).then_some(pass)
}

/// Whether one butterfly in registers is the whole transform.
fn is_butterfly(n: usize) -> bool {
    is_smooth(n) && lengths(n, GPU_RADIX).len() == 1
}

/// The lengths of the passes, or of the stages of one; every smooth length splits into factors up to 31 at worst.
fn lengths(n: usize, most: usize) -> Vec<usize> {
    radix::factors_of_any(n, most.max(GPU_RADIX))
}

/// A pass in workgroup memory for one step, with its stages and packing.
fn workgroup(step: Step, inner: usize, limits: &GpuLimits) -> WorkgroupPass {
    let columns = step.lines() * inner;
    let scattered = columns < COALESCED;
    let (course, stages) = match step.radix {
        // What lies in another order is put there in workgroup memory where the lanes run along the line.
        prime if prime::is_rader(prime) => (Course::Prime { sorted: scattered }, lengths(prime - 1, GPU_RADIX)),
        // Contiguous short lines: exchanges around the butterfly, so that the lanes run along memory.
        16 if scattered => (Course::Transform, vec![4, 4]),
        short if scattered && is_butterfly(short) => (Course::Transform, vec![1, short, 1]),
        length => (Course::Transform, lengths(length, GPU_RADIX)),
    };
    let turned = step.first() && !step.last() && inner < COALESCED && stages.len() > 1;
    WorkgroupPass { step, stages, tile: packing::Tile::NONE, turned, course, taken: Half::default(), given: Half::default(), folds: false }.packed(inner, limits)
}

impl FftPass {
    /// Whether `load` and `store` may be on the same buffer: every line is read whole before any of it is written, by the
    /// workgroup that writes it. So for all plans of a single pass.
    pub fn in_place(&self) -> bool {
        let step = self.step();
        step.first() && step.last()
    }

    /// The pass that goes on: coefficients times weights, and the transform of the other sign, so that it makes a filter. None
    /// where the transform takes more than this pass, or is made of two already. Over lines with `inner` adjacent columns.
    pub fn filter(&self, inner: usize, limits: &GpuLimits) -> Option<FftPass> {
        let kind = match self.kind.clone() {
            Kind::Global(pass) => Kind::Global(GlobalPass { filter: true, ..pass }),
            Kind::Workgroup(pass) if pass.course != Course::Transform => return None,
            Kind::Workgroup(pass) => {
                Kind::Workgroup(WorkgroupPass { course: Course::Filter, ..pass }.packed(inner, limits))
            }
        };
        self.in_place().then_some(FftPass { kind })
    }

    /// The pass that adds up results along an outer axis. None where it does not end its transform.
    pub fn folding(&self) -> Option<FftPass> {
        let kind = match self.kind.clone() {
            Kind::Global(pass) => Kind::Global(GlobalPass { folds: true, ..pass }),
            Kind::Workgroup(pass) => Kind::Workgroup(WorkgroupPass { folds: true, ..pass }),
        };
        self.step().last().then_some(FftPass { kind })
    }

    /// The pass over lines of which `taken` is not zero and `given` is wanted: where each begins in the order of the transform, and
    /// how many elements it has.
    pub fn pruned(&self, taken: (usize, usize), given: (usize, usize)) -> FftPass {
        let kind = match self.kind.clone() {
            Kind::Global(pass) => Kind::Global(pass),
            Kind::Workgroup(pass) => Kind::Workgroup(pass.pruned(taken, given)),
        };
        FftPass { kind }
    }

    /// The same with the tile that the model of a device takes, over lines with `inner` adjacent columns.
    pub fn by_model(&self, inner: usize, limits: &GpuLimits) -> FftPass {
        let kind = match self.kind.clone() {
            Kind::Global(pass) => Kind::Global(pass),
            Kind::Workgroup(pass) => Kind::Workgroup(pass.packed(inner, limits)),
        };
        FftPass { kind }
    }

    fn is_filter(&self) -> bool {
        match &self.kind {
            Kind::Global(pass) => pass.filter,
            Kind::Workgroup(pass) => pass.course == Course::Filter,
        }
    }

    fn is_prime(&self) -> bool {
        matches!(&self.kind, Kind::Workgroup(WorkgroupPass { course: Course::Prime { .. }, .. }))
    }

    fn folds(&self) -> bool {
        match &self.kind {
            Kind::Global(pass) => pass.folds,
            Kind::Workgroup(pass) => pass.folds,
        }
    }

    /// Identifies [`source`](Self::source): equal keys have equal text.
    pub fn key(&self) -> String {
        let kind = match &self.kind {
            Kind::Global(pass) => pass.key(),
            Kind::Workgroup(pass) => pass.key(),
        };
        format!("fft-{kind}")
    }

    /// WGSL of the pass: `struct FftParams`, helpers and the entry point `main`. The caller adds
    /// `fn load(lin: u32) -> vec2<f32>`, `fn store(lin: u32, v: vec2<f32>)`, `var<uniform> fft: FftParams` and
    /// `var<storage, read> twiddle: array<vec2<f32>>`; for a [filter](Self::filter) also
    /// `fn middle(lin: u32, v: vec2<f32>) -> vec2<f32>`, the weighted coefficient. Each element is loaded and stored once. Of one
    /// that [folds](Self::folding) `fn term(lin: u32, v: vec2<f32>) -> vec2<f32>` weighs what is added up, and `store` is
    /// given sums, `lin` counting what is left of the outer axis.
    ///
    /// # Errors
    /// The directives of a file are wrong.
    pub fn source(&self) -> Result<String> {
        let (file, mut defines) = match &self.kind {
            Kind::Global(pass) => (include_str!("global.wgsl"), pass.defines()),
            Kind::Workgroup(pass) => (include_str!("workgroup.wgsl"), pass.defines()),
        };
        let step = self.step();
        defines.set("RADIX", format!("{}u", step.radix));
        for (name, holds) in [("FIRST", step.first()), ("LAST", step.last()), ("FILTER", self.is_filter()), ("PRIME", self.is_prime()), ("FOLDED", self.folds())] {
            if holds {
                defines.set(name, "");
            }
        }
        expand(&self.key(), file, &[("pass", include_str!("pass.wgsl"))], &defines).map(|text| defines.replaced(&text))
    }

    /// The contents of `twiddle`; one element at least, since a binding cannot be empty.
    pub fn twiddles(&self) -> Vec<[f32; 2]> {
        let mut table = match &self.kind {
            Kind::Global(pass) => pass.twiddles(),
            Kind::Workgroup(pass) => pass.twiddles(),
        };
        if table.is_empty() {
            table.push([1.0, 0.0]);
        }
        table
    }

    /// The words of `FftParams`. `first`, `last`: whether the pass begins and ends the call's DFT, that is, its place in the
    /// plan.
    ///
    /// # Errors
    /// `outer · n · inner` is not below 2³², or `n · inner` above 2³¹.
    pub fn params(&self, lines: Lines, first: bool, last: bool, call: &FftCall) -> Result<Vec<u32>> {
        let Lines { outer, inner, folded } = lines;
        let step = self.step();
        let (columns, total) = (step.lines() * inner, step.n * inner);
        word("the elements of a transform", outer.saturating_mul(total))?;
        // Twice of it is added up.
        word("the lines of a transform", 2 * total - 1)?;
        let tiles = match &self.kind {
            Kind::Global(_) => 1,
            Kind::Workgroup(pass) => pass.tiles(columns as u64),
        };
        let groups = self.groups(lines);
        let only = |end: bool, value: u32| if end { value } else { 0 };
        let count = |what: &str, value: u64| word(what, usize::try_from(value).unwrap_or(usize::MAX));
        let shift = word("an origin", call.shift % step.n * inner)?;
        let mut words = vec![
            word("the outer extent", lines.stored())?,
            word("the outer extent", call.batch0)?,
            word("the inner extent", inner)?,
            word("the columns", columns)?,
            word("the lines", total)?,
            word("a length", step.done)?,
            count("the tiles", tiles)?,
            count("the workgroups", groups)?,
            only(first, shift),
            only(last, shift),
            only(first, call.inverse.into()),
            // What goes there and back ends with the transform of the other sign.
            only(last, (call.inverse != (self.is_filter() || self.is_prime())).into()),
            (if last { call.scale } else { 1.0 }).to_bits(),
            word("the terms of a sum", folded.map_or(1, |f| f.terms))?,
            word("the outer extent", folded.map_or(1, |f| f.behind))?,
        ];
        words.resize(words.len().next_multiple_of(4), 0);
        Ok(words)
    }

    /// The number of workgroups, to be folded into two dimensions where it exceeds a device's limit.
    pub fn groups(&self, lines: Lines) -> u64 {
        let (outer, columns) = (lines.stored() as u64, (self.step().lines() * lines.inner) as u64);
        match &self.kind {
            Kind::Global(pass) => pass.groups(outer, columns),
            Kind::Workgroup(pass) => pass.groups(outer, columns),
        }
    }

    /// Nominal floating-point operations, `5 r log₂ r` per line of length `r`, twice of it for one that goes there and back.
    pub fn flops(&self, lines: Lines) -> u64 {
        let (outer, inner) = (lines.outer as u64, lines.inner as u64);
        let step = self.step();
        let length = if self.is_prime() { step.radix - 1 } else { step.radix } as f64;
        // Between the two of a prime each coefficient is multiplied.
        let line = 5.0 * length * length.log2() + if self.is_prime() { 3.0 * length } else { 0.0 };
        let transforms = if self.is_filter() || self.is_prime() { 2.0 } else { 1.0 };
        let sums = if self.folds() { outer * inner * 2 * step.n as u64 } else { 0 };
        let saved = if let Kind::Workgroup(pass) = &self.kind { outer * inner * pass.saved() } else { 0 };
        (transforms * line * (outer * inner) as f64 * step.lines() as f64) as u64 + sums - saved
    }

    fn step(&self) -> Step {
        match &self.kind {
            Kind::Global(pass) => pass.step,
            Kind::Workgroup(pass) => pass.step,
        }
    }
}
