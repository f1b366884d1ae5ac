//! From a step of a plan to dispatches: kernel text, parameters, what is bound where.
//!
//! A binding holds a limited stretch of a tensor, so a step is cut into chunks of results, and where the reads of one chunk
//! span more than a binding, into windows: all kernels are linear in each operand, so what lies outside of a window reads as
//! 0 and the windows' results add up. (An addition reads each term through windows of its own.)

use super::nonuniform;
use super::read::{Source, Window, load_function};
use super::text::Text;
use crate::error::{Error, Result};
use crate::program::{Access, Constant, Kernel, Load, Plan, Step, Target, ValueId};
use std::fmt::Write;
use std::sync::Arc;

/// Elements that every window starts at a multiple of: 256 bytes for the smallest element.
const ALIGN: u64 = 64;

/// Sums of at least this many terms, where there are few of them, are made by whole workgroups.
const GROUP_TERMS: usize = 256;
/// Terms that one dispatch sums at most: a fraction of a second on a slow GPU.
const MOST_TERMS: usize = 1 << 32;
/// What counts as few.
const GROUP_SUMS: usize = 1 << 12;

/// What a kernel binds.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A value of the plan.
    Value(ValueId),
    /// A constant of the program.
    Constant(Constant),
    /// A table of u32: indices, list starts.
    List(Arc<Vec<u32>>),
    /// A table of f32 pairs: twiddles.
    Table(Arc<Vec<[f32; 2]>>),
}

/// A bound stretch of an operand, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// Binding number in group 0.
    pub number: u32,
    /// What is bound.
    pub operand: Operand,
    /// First byte, a multiple of 256.
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
}

/// One dispatch.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The kernel file, for labels.
    pub name: String,
    /// The WGSL; equal texts are the same pipeline.
    pub text: String,
    /// Contents of the uniform at binding 2.
    pub params: Vec<u32>,
    /// Contents of the uniform at binding 0, for transforms.
    pub fft_params: Option<Vec<u32>>,
    /// Everything else that is bound.
    pub bindings: Vec<Binding>,
    /// Number of workgroups, before folding.
    pub groups: u64,
}

/// The dispatches of a step, in order.
///
/// # Errors
/// [`Error::TooBig`] for what no window can hold; [`Error::Shader`] never, for a plan of this crate.
pub fn drafts(plan: &Plan, step: &Step) -> Result<Vec<Draft>> {
    let Target::Gpu { max_binding, .. } = plan.target else {
        return Err(Error::Device("a plan for the host has no kernels".into()));
    };
    let s = Stepper { plan, step, limit: max_binding };
    match &step.kernel {
        Kernel::FftPass { .. } => Ok(vec![s.fft()?]),
        Kernel::Interpolate { .. } | Kernel::Spread { .. } => nonuniform::drafts(&s),
        Kernel::Fft { .. } | Kernel::Filter { .. } => {
            Err(Error::Device("whole transforms run on the host only".into()))
        }
        _ => s.chunks().into_iter().try_fold(Vec::new(), |mut all, chunk| {
            all.extend(s.chunk(chunk)?);
            Ok(all)
        }),
    }
}

pub(super) struct Stepper<'a> {
    pub plan: &'a Plan,
    pub step: &'a Step,
    pub limit: u64,
}

/// Results `first..first + count`.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub first: usize,
    pub count: usize,
}

/// An operand of one dispatch, before its windows are chosen.
struct Bound<'a> {
    operand: Operand,
    element: u64,
    footprint: (i64, i64),
    /// The fused read or weight that it belongs to; lists have none.
    access: Option<&'a Access>,
}

/// A read as its kernel indexes it: axes before `mark` by the result, those behind by the term.
struct Read {
    load: Load,
    mark: usize,
}

impl Read {
    fn whole(load: Load) -> Read {
        Read { mark: load.extents.len(), load }
    }
}

/// A list, and the stretch of it that a chunk needs.
struct Listed {
    list: Arc<Vec<u32>>,
    footprint: (i64, i64),
}

impl Stepper<'_> {
    pub fn complex(&self) -> bool {
        self.plan.values[self.step.store.value.at()].complex
    }

    /// Elements of `element` bytes that any window holds, wherever it starts.
    pub fn room(&self, element: u64) -> u64 {
        (self.limit / element).saturating_sub(ALIGN).max(1)
    }

    fn chunks(&self) -> Vec<Chunk> {
        let len = self.step.kernel.output_len();
        let cap = self.room(if self.complex() { 8 } else { 4 }) as usize;
        let store = &self.step.store;
        // Pieces of `line` results each, none across a line's end.
        let pieces = |line: usize, size: usize| -> Vec<Chunk> {
            let lines = (0..len).step_by(line).flat_map(|at| (0..line).step_by(size).map(move |i| (at + i, at + line)));
            lines.map(|(first, end)| Chunk { first, count: size.min(end - first) }).collect()
        };
        if let Kernel::Gather { load, index } | Kernel::Scatter { load, index } = &self.step.kernel {
            let listed = 4 * (index.indices().len() as u64).max(index.extent() as u64 + 1);
            if listed > self.limit {
                // A list is bound in part: a chunk stays within one outer index.
                let line = len / load.extents[0];
                return pieces(line, cap.min(line));
            }
        }
        if !store.is_contiguous(len) {
            return match cap / store.pitch {
                0 => pieces(store.run, cap.min(store.run)),
                rows => pieces(len, (rows * store.run).min(len)),
            };
        }
        // Whole rows of the read, so that its footprint stays tight.
        let row = match self.step.kernel.loads().first() {
            Some(l) if !l.extents.is_empty() => (len / l.extents[0]).max(1),
            _ => 1,
        };
        let size = if row <= cap { cap / row * row } else { cap };
        let size = match &self.step.kernel {
            Kernel::Reduce { load, kept, .. } => {
                size.min((MOST_TERMS / load.extents[*kept..].iter().product::<usize>()).max(1))
            }
            _ => size,
        };
        pieces(len, size.min(len))
    }

    /// The dispatches that make one chunk: one, or one for each combination of windows.
    fn chunk(&self, chunk: Chunk) -> Result<Vec<Draft>> {
        let reads = self.reads();
        let mut bound: Vec<Bound> = Vec::new();
        for Read { load, .. } in &reads {
            let ranges = self.ranges(load, chunk);
            let value = &self.plan.values[load.value.at()];
            bound.push(Bound {
                operand: Operand::Value(load.value),
                element: value.element_bytes(),
                footprint: clamp(load.source.footprint(&ranges), value.len()),
                access: Some(&load.source),
            });
            for f in &load.factors {
                bound.push(Bound {
                    operand: Operand::Constant(f.weight.clone()),
                    element: if f.weight.is_complex() { 8 } else { 4 },
                    footprint: clamp(f.access.footprint(&ranges), f.weight.len()),
                    access: Some(&f.access),
                });
            }
        }
        let lists = self.lists(chunk);
        bound.extend(lists.into_iter().map(|l| Bound {
            operand: Operand::List(l.list),
            element: 4,
            footprint: l.footprint,
            access: None,
        }));
        let choices: Vec<Vec<Window>> = bound.iter().map(|b| windows(b.footprint, self.room(b.element))).collect();
        let combinations: usize = choices.iter().map(Vec::len).product();
        let mut all = Vec::with_capacity(combinations);
        if combinations == 1 || reads.len() < 2 {
            self.windowed(chunk, &reads, &bound, &choices, &mut all)?;
            return Ok(all);
        }
        // A sum is not linear in one term alone: each term goes through its own windows, so that none is added twice. The
        // one that is overwritten goes first.
        let starts: Vec<usize> =
            reads.iter().scan(0, |at, r| Some(std::mem::replace(at, *at + 1 + r.load.factors.len()))).collect();
        let mut order: Vec<usize> = (0..reads.len()).collect();
        order.sort_by_key(|&k| !self.overwrites(reads[k].load.value));
        for k in order {
            let own = starts[k]..starts[k] + 1 + reads[k].load.factors.len();
            self.windowed(chunk, &reads[k..=k], &bound[own.clone()], &choices[own], &mut all)?;
        }
        Ok(all)
    }

    /// Appends one dispatch for each combination of windows; the first of all stores, the others add.
    fn windowed(
        &self,
        chunk: Chunk,
        reads: &[Read],
        bound: &[Bound],
        choices: &[Vec<Window>],
        all: &mut Vec<Draft>,
    ) -> Result<()> {
        let combinations: usize = choices.iter().map(Vec::len).product();
        for mut k in 0..combinations {
            let mut chosen = Vec::with_capacity(choices.len());
            for c in choices {
                chosen.push(c[k % c.len()]);
                k /= c.len();
            }
            all.push(self.draft(chunk, reads, bound, &chosen, !all.is_empty())?);
        }
        Ok(())
    }

    /// The reads with as few axes as the kernel allows. A sum keeps the axes of its results apart from those of its terms:
    /// together their index may exceed 32 bits.
    fn reads(&self) -> Vec<Read> {
        match &self.step.kernel {
            Kernel::Reduce { load, kept, .. } => {
                let (load, mark) = load.collapsed_around(*kept);
                vec![Read { load, mark }]
            }
            other => other.loads().iter().map(|l| Read::whole(l.collapsed())).collect(),
        }
    }

    /// The box of indices of a read that a chunk of results needs.
    pub fn ranges(&self, load: &Load, chunk: Chunk) -> Vec<(i64, i64)> {
        let whole: usize = load.extents.iter().product();
        let (first, end) = match &self.step.kernel {
            Kernel::Reduce { load: l, kept, .. } => {
                let terms: usize = l.extents[*kept..].iter().product();
                (chunk.first * terms, (chunk.first + chunk.count) * terms)
            }
            Kernel::Gather { load: l, .. } | Kernel::Scatter { load: l, .. } => {
                let (line, out) = (l.extents[1] * l.extents[2], self.step.kernel.output_len() / l.extents[0]);
                (chunk.first / out * line, (chunk.first + chunk.count).div_ceil(out) * line)
            }
            _ => (chunk.first, chunk.first + chunk.count),
        };
        let mut ranges = Vec::with_capacity(load.extents.len());
        let (mut first, mut last, mut inner) = (first, end - 1, whole);
        let mut together = true;
        for (&n, v) in load.extents.iter().zip(&load.valid) {
            inner /= n;
            let (lo, hi) = if together { (first / inner, last / inner) } else { (0, n - 1) };
            if together {
                first -= lo * inner;
                last -= hi * inner;
                together = lo == hi;
            }
            let lo = (lo as i64).max(v.lo);
            ranges.push((lo, (hi as i64).min(v.hi - 1).max(lo)));
        }
        ranges
    }

    /// Lists and the stretches of them that a chunk needs, in binding order: `list`, then `starts`.
    fn lists(&self, chunk: Chunk) -> Vec<Listed> {
        let (Kernel::Gather { load, index } | Kernel::Scatter { load, index }) = &self.step.kernel else {
            return Vec::new();
        };
        let out = self.step.kernel.output_len() / load.extents[0];
        let inner = load.extents[2];
        let rows = match chunk.first / out == (chunk.first + chunk.count - 1) / out {
            true => (chunk.first % out / inner, (chunk.first + chunk.count - 1) % out / inner),
            false => (0, out / inner - 1),
        };
        if matches!(self.step.kernel, Kernel::Gather { .. }) {
            return vec![Listed { list: index.indices().clone(), footprint: (rows.0 as i64, rows.1 as i64) }];
        }
        let inverse = index.inverse();
        let readers = (i64::from(inverse.starts[rows.0]), i64::from(inverse.starts[rows.1 + 1]).max(1) - 1);
        let readers = (readers.0.min(readers.1), readers.1);
        vec![
            Listed { list: inverse.readers.clone(), footprint: readers },
            Listed { list: inverse.starts.clone(), footprint: (rows.0 as i64, rows.1 as i64 + 1) },
        ]
    }

    fn draft(&self, chunk: Chunk, reads: &[Read], bound: &[Bound], chosen: &[Window], add: bool) -> Result<Draft> {
        let (kernel, complex) = (&self.step.kernel, self.complex());
        let mut t = Text::new(complex);
        let dst = self.destination(chunk)?;
        t.bind(3, Operand::Value(self.step.store.value), if complex { 8 } else { 4 }, dst, "read_write", "dst");
        let mut names = Vec::new();
        for (k, (b, w)) in bound.iter().zip(chosen).enumerate() {
            let number = 4 + k as u32;
            let name = match (&b.operand, b.access) {
                (Operand::Value(v), _) if self.overwrites(*v) => "dst".to_string(),
                (Operand::List(_), _) => {
                    (if k + 1 == bound.len() && matches!(kernel, Kernel::Scatter { .. }) { "starts" } else { "list" })
                        .into()
                }
                _ => format!("x{k}"),
            };
            if name != "dst" {
                t.bind(number, b.operand.clone(), b.element, *w, "read", &name);
            }
            names.push(name);
        }
        let mut at = 0;
        for (k, Read { load, mark }) in reads.iter().enumerate() {
            let source = |i: usize| Source {
                name: &names[i],
                complex: bound[i].element == 8,
                window: if names[i] == "dst" { dst } else { chosen[i] },
            };
            let weights: Vec<Source> = (1..=load.factors.len()).map(|j| source(at + j)).collect();
            let text = load_function(&format!("load{k}"), load, *mark, complex, &source(at), &weights, &mut t.words);
            t.body += &text;
            at += 1 + load.factors.len();
        }
        if let Kernel::Reduce { .. } = kernel {
            t.body += "fn term(lin: u32, k: u32) -> T {\n    return load0(lin, k);\n}\n";
        } else {
            let terms: Vec<String> = (0..reads.len()).map(|k| format!("load{k}(lin, 0u)")).collect();
            let sum = if terms.is_empty() { "T()".into() } else { terms.join(" + ") };
            let _ = write!(t.body, "fn value(lin: u32) -> T {{\n    return {sum};\n}}\n");
        }
        t.store(&self.step.store, kernel.output_len(), dst, None, add);

        let (file, per_group) = self.file();
        let list = |k: usize| bound.iter().zip(chosen).filter(|(b, _)| b.access.is_none()).nth(k).map(|(_, w)| *w);
        let mut head = [chunk.count as u32, chunk.first as u32, 1, 1, 1, 1, 0, 0];
        match kernel {
            Kernel::Reduce { load, kept, .. } => head[2] = load.extents[*kept..].iter().product::<usize>() as u32,
            Kernel::Gather { load, .. } | Kernel::Scatter { load, .. } => {
                let inner = load.extents[2];
                head[3] = load.extents[1] as u32;
                head[4] = (kernel.output_len() / load.extents[0] / inner) as u32;
                head[5] = inner as u32;
                if let Some(w) = list(0) {
                    head[6] = w.first as u32;
                    head[7] = (w.first + w.len) as u32;
                }
                // The start that is bound first; a gather has no starts.
                head[2] = list(1).map_or(0, |w| w.first as u32);
            }
            _ => {}
        }
        t.finish(file, head, (chunk.count as u64).div_ceil(per_group))
    }

    fn file(&self) -> (&'static str, u64) {
        match &self.step.kernel {
            Kernel::Reduce { load, kept, batch } => {
                let (sums, terms) = load.extents.split_at(*kept);
                let (sums, terms) = (sums.iter().product::<usize>() / batch, terms.iter().product::<usize>());
                if terms >= GROUP_TERMS && sums <= GROUP_SUMS { ("reduce_group", 1) } else { ("reduce", 256) }
            }
            Kernel::Gather { .. } => ("gather", 256),
            Kernel::Scatter { .. } => ("scatter", 256),
            _ => ("map", 256),
        }
    }

    /// Whether a read value lies in the buffer that is written.
    pub fn overwrites(&self, v: ValueId) -> bool {
        let slot = |v: ValueId| self.plan.memory.slot_of[v.at()];
        let y = self.step.store.value;
        v == y || slot(v).is_some() && slot(v) == slot(y)
    }

    /// Where a chunk's results lie.
    pub fn destination(&self, chunk: Chunk) -> Result<Window> {
        let store = &self.step.store;
        let at = |i: usize| (i / store.run * store.pitch + store.start + i % store.run) as i64;
        let (first, last) = (chunk.first, chunk.first + chunk.count - 1);
        let low = if first / store.run == last / store.run { at(first) } else { at(first / store.run * store.run) };
        let high = if first / store.run == last / store.run {
            at(last)
        } else {
            at(last).max(at(last / store.run * store.run - 1))
        };
        let element = if self.complex() { 8 } else { 4 };
        match &windows((low, high), self.room(element))[..] {
            [one] => Ok(*one),
            _ => Err(Error::TooBig {
                what: "one binding of a result".into(),
                needed: element * (high - low) as u64,
                limit: self.limit,
            }),
        }
    }
}

/// A footprint within the operand: a read without valid indices touches nothing, and binds its first element.
pub(super) fn clamp((low, high): (i64, i64), len: usize) -> (i64, i64) {
    let low = low.clamp(0, len as i64 - 1);
    (low, high.clamp(low, len as i64 - 1))
}

/// One window over a footprint if it fits, else guarded ones side by side.
pub(super) fn windows((low, high): (i64, i64), room: u64) -> Vec<Window> {
    let first = low as u64 / ALIGN * ALIGN;
    let end = high as u64 + 1;
    if end - first <= room + ALIGN {
        return vec![Window { first, len: end - first, guarded: false }];
    }
    let size = (room / ALIGN * ALIGN).max(ALIGN);
    (first..end).step_by(size as usize).map(|at| Window { first: at, len: size.min(end - at), guarded: true }).collect()
}
