//! From a step of a plan to dispatches.
//!
//! A binding holds a limited stretch of a tensor, so a step is cut into chunks of results, and where the reads of one chunk
//! span more than a binding, into windows: all kernels are linear in each operand, so what lies outside of a window reads as
//! 0 and the windows' results add up. (An addition reads each term through windows of its own.)

use super::draft::{Draft, List, Operand};
use super::limits::{GpuLimits, word};
use super::read::{Source, load_function};
use super::text::{KernelFile, StoreTo, Text};
use super::time::WORK;
use super::wide::{self, Along, Lie};
use super::windows::{ALIGN, Window, clamp, windows};
use crate::access::{Access, Load, Store, ValueId};
use crate::error::{Error, Result};

/// What a step reads and writes, as its kernel's dispatches need to know it.
#[derive(Debug)]
pub(crate) struct Stepper {
    pub limits: GpuLimits,
    /// Where the results go.
    pub store: Store,
    /// Number of results.
    pub len: usize,
    /// Whether the written value is complex.
    pub complex: bool,
    /// The values that the reads are of, in their order.
    pub sources: Vec<Stored>,
    /// What the kernel alone writes and reads.
    pub scratch: Option<ValueId>,
}

/// A stored value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub value: ValueId,
    pub len: usize,
    pub complex: bool,
    /// Whether it lies in the buffer that is written.
    pub overwritten: bool,
}

impl Stored {
    /// Bytes of an element.
    pub fn element(&self) -> u64 {
        if self.complex { 8 } else { 4 }
    }
}

/// Results `first..first + count`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    pub first: usize,
    pub count: usize,
}

/// A read as its kernel indexes it: axes before `mark` by the result, those behind by the term.
pub(crate) struct Read {
    pub load: Load,
    pub mark: usize,
    /// Whether a kernel of real results is given complex values as they are; else their real part.
    pub as_stored: bool,
}

impl Read {
    /// By the result alone.
    pub fn whole(load: &Load) -> Read {
        let load = load.collapsed();
        Read { mark: load.extents.len(), load, as_stored: false }
    }
}

/// A list, and the stretch of it that a chunk needs.
pub(crate) struct Listed {
    pub name: &'static str,
    pub list: List,
    pub footprint: (i64, i64),
}

/// A kernel whose results are made one by one, or group by group, from fused reads and lists.
pub(crate) trait PerResult {
    /// The reads, with as few axes as the kernel allows.
    fn reads(&self) -> Vec<Read>;
    /// The chunks that the results are cut into.
    fn chunks(&self, s: &Stepper) -> Vec<Chunk>;
    /// The linear indices `first..end` of a read that a chunk needs.
    fn reach(&self, chunk: Chunk) -> (usize, usize);
    /// The lists that a chunk needs.
    fn lists(&self, chunk: Chunk) -> Vec<Listed>;
    /// What elements of its reads may be to it that come with one access of 16 bytes, the best first; none where it wants them one by
    /// one. It is given the first that every read and the results of a dispatch allow.
    fn along(&self, s: &Stepper) -> &'static [Along];
    /// Adds functions and parameters to the text of a dispatch over so many of the reads, which are there as `load0(lin, k)`,
    /// `load1(lin, k)` …; the lists' bound stretches are given.
    ///
    /// # Errors
    /// A number has more than 32 bits.
    fn assemble(&self, t: &mut Text, reads: usize, lists: &[Window], along: Option<Along>) -> Result<()>;
    /// The kernel's file, and the results of one workgroup, or the units of results.
    fn file(&self, along: Option<Along>) -> (KernelFile, u64);
}

/// An operand of one dispatch, before its windows are chosen.
struct Bound {
    operand: Operand,
    element: u64,
    footprint: (i64, i64),
    name: Name,
}

enum Name {
    /// A value or weight.
    Read,
    List(&'static str),
}

impl Stepper {
    /// Bytes of a result.
    pub fn element(&self) -> u64 {
        if self.complex { 8 } else { 4 }
    }

    /// Elements of `element` bytes that any window holds, wherever it starts.
    pub fn bindable(&self, element: u64) -> u64 {
        (self.limits.max_binding / element).saturating_sub(ALIGN).max(1)
    }

    /// Results that one dispatch may make: so many as a window holds, and as take no longer than a watchdog allows, where each
    /// takes `work` (see [`super::time`]).
    pub fn most_results(&self, work: u64) -> usize {
        let bindable = usize::try_from(self.bindable(self.element())).unwrap_or(usize::MAX);
        bindable.min(usize::try_from(WORK / work.max(1)).unwrap_or(usize::MAX)).max(1)
    }

    /// Pieces of at most `size` results, none across the end of a line of `line` results.
    pub fn pieces(&self, line: usize, size: usize) -> Vec<Chunk> {
        let lines = (0..self.len).step_by(line);
        let within = move |at: usize| (0..line).step_by(size).map(move |i| (at + i, at + line));
        lines.flat_map(within).map(|(first, end)| Chunk { first, count: size.min(end - first) }).collect()
    }

    /// Chunks of at most `most` results: whole rows of a read whose first index spans `row` results, so that its footprint
    /// stays tight, and within what a strided store can reach.
    pub fn by_rows(&self, row: usize, most: usize) -> Vec<Chunk> {
        let store = &self.store;
        if !store.is_contiguous(self.len) {
            return match most / store.pitch {
                0 => self.pieces(store.run, most.min(store.run)),
                rows => self.pieces(self.len, (rows * store.run).min(self.len)),
            };
        }
        let row = row.max(1);
        let size = if row <= most { most / row * row } else { most };
        self.pieces(self.len, size.min(self.len))
    }

    /// The box of indices of a read of which the linear indices `first..end` are needed.
    pub fn ranges(load: &Load, (first, end): (usize, usize)) -> Vec<(i64, i64)> {
        let mut ranges = Vec::with_capacity(load.extents.len());
        let (mut first, mut last, mut inner) = (first, end - 1, load.count());
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

    /// The one window that an operand must fit.
    ///
    /// # Errors
    /// It does not.
    pub fn one(&self, what: &str, footprint: (i64, i64), element: u64) -> Result<Window> {
        match &windows(footprint, self.bindable(element))[..] {
            [one] => Ok(*one),
            _ => Err(Error::TooBig {
                what: format!("one binding of {what}"),
                needed: element * footprint.1.abs_diff(footprint.0),
                limit: self.limits.max_binding,
            }),
        }
    }

    /// Where a chunk's results lie.
    ///
    /// # Errors
    /// One binding does not hold them.
    pub fn destination(&self, chunk: Chunk) -> Result<Window> {
        let store = &self.store;
        let at = |i: usize| (i / store.run * store.pitch + store.start + i % store.run) as i64;
        let (first, last) = (chunk.first, chunk.first + chunk.count - 1);
        let one_row = first / store.run == last / store.run;
        let low = if one_row { at(first) } else { at(first / store.run * store.run) };
        let high = if one_row { at(last) } else { at(last).max(at(last / store.run * store.run - 1)) };
        self.one("a result", (low, high), self.element())
    }

    /// The dispatches of a kernel, in order.
    ///
    /// # Errors
    /// [`Error::TooBig`] for what no window can hold and no kernel can count.
    pub fn drafts(&self, kernel: &dyn PerResult) -> Result<Vec<Draft>> {
        let reads = kernel.reads();
        let mut all = Vec::new();
        for chunk in kernel.chunks(self) {
            self.chunk(kernel, &reads, chunk, &mut all)?;
        }
        Ok(all)
    }

    /// The dispatches that make one chunk: one, or one for each combination of windows.
    fn chunk(&self, kernel: &dyn PerResult, reads: &[Read], chunk: Chunk, all: &mut Vec<Draft>) -> Result<()> {
        let mut bound: Vec<Bound> = Vec::new();
        for (Read { load, .. }, source) in reads.iter().zip(&self.sources) {
            let (first, end) = kernel.reach(chunk);
            let ranges = Stepper::ranges(load, (first, end));
            // Of what is read in order the box may hold much more than the stretch: an operand that is overwritten must not be
            // cut for that.
            let in_order = Access::c_order(&load.extents);
            let footprint = |access: &Access| match *access == in_order {
                true => (first as i64, end as i64 - 1),
                false => access.footprint(&ranges),
            };
            bound.push(Bound {
                operand: Operand::Value(source.value),
                element: source.element(),
                footprint: clamp(footprint(&load.source), source.len),
                name: Name::Read,
            });
            for f in &load.factors {
                bound.push(Bound {
                    operand: Operand::Constant(f.weight.clone()),
                    element: if f.weight.is_complex() { 8 } else { 4 },
                    footprint: clamp(footprint(&f.access), f.weight.len()),
                    name: Name::Read,
                });
            }
        }
        bound.extend(kernel.lists(chunk).into_iter().map(|l| Bound {
            operand: Operand::List(l.list),
            element: 4,
            footprint: l.footprint,
            name: Name::List(l.name),
        }));
        let choices: Vec<Vec<Window>> = bound.iter().map(|b| windows(b.footprint, self.bindable(b.element))).collect();
        let combinations: usize = choices.iter().map(Vec::len).product();
        let begin = all.len();
        if combinations == 1 || reads.len() < 2 {
            let part = Part { kernel, chunk, reads, bound: &bound, choices: &choices };
            return self.windowed(&part, begin, all);
        }
        // A sum is not linear in one term alone: each term goes through its own windows, so that none is added twice. The
        // one that is overwritten goes first.
        let starts: Vec<usize> =
            reads.iter().scan(0, |at, r| Some(std::mem::replace(at, *at + 1 + r.load.factors.len()))).collect();
        let mut order: Vec<usize> = (0..reads.len()).collect();
        order.sort_by_key(|&k| !self.sources[k].overwritten);
        for k in order {
            let own = starts[k]..starts[k] + 1 + reads[k].load.factors.len();
            let (bound, choices) = (&bound[own.clone()], &choices[own]);
            self.windowed(&Part { kernel, chunk, reads: &reads[k..=k], bound, choices }, begin, all)?;
        }
        Ok(())
    }

    /// Appends one dispatch for each combination of windows; the first of the chunk stores, the others add.
    fn windowed(&self, part: &Part, begin: usize, all: &mut Vec<Draft>) -> Result<()> {
        let combinations: usize = part.choices.iter().map(Vec::len).product();
        for mut k in 0..combinations {
            let mut chosen = Vec::with_capacity(part.choices.len());
            for c in part.choices {
                chosen.push(c[k % c.len()]);
                k /= c.len();
            }
            let add = all.len() > begin;
            all.push(self.draft(part, &chosen, add)?);
        }
        Ok(())
    }

    fn draft(&self, part: &Part, chosen: &[Window], add: bool) -> Result<Draft> {
        let Part { kernel, chunk, reads, bound, .. } = *part;
        let mut t = Text::new(self.complex);
        let dst = self.destination(chunk)?;
        let own: Vec<ValueId> = self.sources.iter().filter(|s| s.overwritten).map(|s| s.value).collect();
        let is_own = |b: &Bound| matches!(&b.operand, Operand::Value(v) if own.contains(v));
        let fitting = |&along: &Along| Some((along, self.lies(part, chosen, dst, along, &is_own)?));
        let (along, lies) = kernel.along(self).iter().find_map(fitting).unzip();
        let unit = wide::unit(self.complex);
        let kind = if along == Some(Along::Results) { wide::array_of(self.element(), unit) } else { "T" };
        t.bind_as(3, Operand::Value(self.store.value), self.element(), dst, "read_write", "dst", kind);
        let mut names = Vec::new();
        for ((k, b), w) in bound.iter().enumerate().zip(chosen) {
            let name = match &b.name {
                _ if is_own(b) => "dst".to_string(),
                Name::List(name) => (*name).into(),
                Name::Read => format!("x{k}"),
            };
            let number = word("a binding", 4 + k)?;
            match lies.as_ref().and_then(|l| l.get(k)) {
                _ if name == "dst" => {}
                Some(Lie::Beside) => {
                    let kind = wide::array_of(b.element, unit);
                    t.bind_as(number, b.operand.clone(), b.element, *w, "read", &name, kind);
                }
                _ => t.bind(number, b.operand.clone(), b.element, *w, "read", &name),
            }
            names.push(name);
        }
        let mut at = 0;
        for (k, Read { load, mark, as_stored }) in reads.iter().enumerate() {
            let source = |i: usize| Source {
                name: &names[i],
                complex: bound[i].element == 8,
                window: if names[i] == "dst" { dst } else { chosen[i] },
            };
            let weights = at + 1..at + 1 + load.factors.len();
            let name = format!("load{k}");
            t.body += &match &lies {
                Some(lies) => {
                    let weights: Vec<(Source, Lie)> = weights.clone().map(|i| (source(i), lies[i])).collect();
                    let read = (&source(at), lies[at]);
                    wide::load_units(&name, load, *mark, self.complex, read, &weights, &mut t.words)
                }
                None => {
                    let weights: Vec<Source> = weights.clone().map(source).collect();
                    let complex = self.complex || *as_stored && bound[at].element == 8;
                    load_function(&name, load, *mark, complex, &source(at), &weights, &mut t.words)
                }
            };
            at = weights.end;
        }
        let to = StoreTo { store: self.store, len: self.len, dst, add };
        let mut count = chunk.count;
        match along {
            Some(Along::Results) => {
                count /= unit;
                t.defines.set("U", "vec4<f32>");
                t.defines.set("UNIT", format!("{unit}u"));
                wide::store_units(&mut t, &to, unit);
            }
            Some(Along::Terms) | None => t.store("store", &to, None),
        }
        let lists: Vec<Window> =
            bound.iter().zip(chosen).filter(|(b, _)| matches!(b.name, Name::List(_))).map(|(_, w)| *w).collect();
        t.param("count", word("the results of a dispatch", count)?);
        t.param("first", word("a result's index", chunk.first)?);
        kernel.assemble(&mut t, reads.len(), &lists, along)?;
        let (file, per_group) = kernel.file(along);
        t.finish(file, (count as u64).div_ceil(per_group))
    }

    /// How the units of every operand that is read lie; None where one of them, or what is written, is none of units.
    fn lies(
        &self,
        part: &Part,
        chosen: &[Window],
        dst: Window,
        along: Along,
        is_own: &dyn Fn(&Bound) -> bool,
    ) -> Option<Vec<Lie>> {
        let unit = wide::unit(self.complex);
        let Chunk { first, count } = part.chunk;
        let stored = || first.is_multiple_of(unit) && count.is_multiple_of(unit) && wide::holds(&dst, unit);
        if along == Along::Results && !(stored() && wide::stores(&self.store, self.len, unit)) {
            return None;
        }
        let mut lies = Vec::with_capacity(part.bound.len());
        for Read { load, mark, .. } in part.reads {
            let axis = match along {
                Along::Results => mark.checked_sub(1)?,
                Along::Terms => Some(load.extents.len()).filter(|n| n > mark)? - 1,
            };
            if !wide::divides(load, axis, unit) || !self.complex && load.scale.im != 0.0 {
                return None;
            }
            for access in std::iter::once(&load.source).chain(load.factors.iter().map(|f| &f.access)) {
                let (bound, w) = (&part.bound[lies.len()], &chosen[lies.len()]);
                let lie = wide::lie(access, axis, unit)?;
                let own = is_own(bound);
                let fits = match lie {
                    Lie::Beside => own || wide::holds(w, unit),
                    Lie::Same => !(own && along == Along::Results),
                };
                let single = !self.complex && bound.element == 8 || own && along == Along::Terms;
                if !fits || single {
                    return None;
                }
                lies.push(lie);
            }
        }
        Some(lies)
    }
}

/// A chunk with the operands of some of its reads.
struct Part<'a> {
    kernel: &'a dyn PerResult,
    chunk: Chunk,
    reads: &'a [Read],
    bound: &'a [Bound],
    choices: &'a [Vec<Window>],
}
