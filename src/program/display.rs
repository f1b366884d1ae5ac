//! Programs and plans as text, for people and for snapshot tests: stable, without addresses or ids.

use super::plan::Post;
use super::points::Weights;
use super::*;
use num_complex::Complex64;
use std::fmt;

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_program(f, self, 0)
    }
}

fn write_program(f: &mut fmt::Formatter<'_>, p: &Program, depth: usize) -> fmt::Result {
    let pad = "  ".repeat(depth);
    writeln!(f, "{pad}x0: {:?}", p.input)?;
    for (i, n) in p.nodes.iter().enumerate() {
        let inputs: Vec<String> = n.inputs.iter().map(|v| format!("x{}", v.0)).collect();
        writeln!(f, "{pad}x{}: {:?} = {} {}", i + 1, n.extents, Describe(&n.op), inputs.join(" "))?;
        if let Op::Parallel(par) = &n.op {
            for child in &par.children {
                write_program(f, child, depth + 2)?;
            }
        }
    }
    writeln!(f, "{pad}return x{}", p.output.0)
}

struct Describe<'a>(&'a Op);

impl fmt::Display for Describe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Op::Zero => f.write_str("zero"),
            Op::Scale(c) => write!(f, "scale {}", scalar(*c)),
            Op::Mul { weight, axes, conj } => write!(f, "mul{} {weight:?} on {axes:?}", conj_mark(*conj)),
            Op::Map(axes) => {
                f.write_str("map")?;
                for a in axes {
                    match a {
                        MapAxis::New => f.write_str(" new")?,
                        MapAxis::From(a, m) => write!(f, " {a}{}", axis_map(m))?,
                    }
                }
                Ok(())
            }
            Op::Reshape => f.write_str("reshape"),
            Op::Sum(axes) => write!(f, "sum {axes:?}"),
            Op::Gather { axis, index } => write!(f, "gather {index:?} on {axis}"),
            Op::Scatter { axis, index } => write!(f, "scatter {index:?} on {axis}"),
            Op::Nufft(n) => write!(f, "nufft {n:?}"),
            Op::NufftAdjoint(n) => write!(f, "nufft adjoint {n:?}"),
            Op::Interpolate(points) => write!(f, "interpolate {points:?}"),
            Op::Spread(points) => write!(f, "spread {points:?}"),
            Op::Fft { axes, inverse, centered, scale } => {
                write!(f, "fft{} {axes:?}", direction(*inverse, *centered))?;
                if *scale != 1.0 { write!(f, " × {scale:.7}") } else { Ok(()) }
            }
            Op::Contract(c) => write!(f, "contract{} {:?} {:?},{:?}→{:?}", conj_mark(c.conj), c.weight, c.w, c.x, c.y),
            Op::Add => f.write_str("add"),
            Op::Parallel(p) => {
                write!(f, "parallel \"{}\" feed {} join {}", p.label, split(&p.feed), split(&p.join))
            }
        }
    }
}

fn axis_map(m: &AxisMap) -> String {
    let sign = if m.num == 1 { "n".to_string() } else { format!("{}n", m.num) };
    let off = if m.off == 0 { String::new() } else { format!("{:+}", m.off) };
    let den = if m.den == 1 { String::new() } else { format!("/{}", m.den) };
    let wrap = if m.wrap { " mod" } else { "" };
    format!("[{sign}{off}{den}{wrap}; {}..{}]", m.lo, m.hi)
}

fn split(s: &Split) -> String {
    match s {
        Split::Whole => "whole".into(),
        Split::Slices { axis, extents } => format!("slices {extents:?} on {axis}"),
    }
}

fn conj_mark(conj: bool) -> &'static str {
    if conj { "*" } else { "" }
}

fn direction(inverse: bool, centered: bool) -> &'static str {
    match (inverse, centered) {
        (false, false) => "",
        (true, false) => " inverse",
        (false, true) => " centred",
        (true, true) => " inverse centred",
    }
}

fn scalar(c: Complex64) -> String {
    if c.im == 0.0 { format!("{:.7}", c.re) } else { format!("({:.7}, {:.7})", c.re, c.im) }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dtype = |v: &PlanValue| if v.complex { "c32" } else { "f32" };
        writeln!(f, "v0: {}{:?} (input)", dtype(&self.values[0]), self.values[0].extents)?;
        for s in &self.steps {
            let y = &self.values[s.store.value.at()];
            let slot = match self.memory.slot_of[s.store.value.at()] {
                Some(slot) => format!("buffer {slot}"),
                None => "output".into(),
            };
            let loads: Vec<String> = s.kernel.loads().iter().map(read).collect();
            write!(f, "v{}: {}{:?} ({slot})", s.store.value.0, dtype(y), y.extents)?;
            if s.store != Store::whole(s.store.value, y.len()) {
                write!(f, "[run {} pitch {} start {}]", s.store.run, s.store.pitch, s.store.start)?;
            }
            write!(f, " = {} {}", s.kernel.name(), loads.join(" + "))?;
            match &s.kernel {
                Kernel::Reduce { load, kept, .. } => write!(f, " over {:?}", &load.extents[*kept..])?,
                Kernel::Fft { axes, inverse, centered, post, .. } => {
                    write!(f, " on {axes:?}{}{}", direction(*inverse, *centered), times(post))?;
                }
                Kernel::Filter { filter, post, .. } => {
                    write!(f, " on {:?} × {:?}", filter.axes, filter.spectrum.table)?;
                    if filter.kept() != filter.extents {
                        write!(f, " keep {:?}", filter.keep)?;
                    }
                    f.write_str(&times(post))?;
                }
                Kernel::FftPass { pass, outer, inner, inverse, shift, middle, post, keep, first, last, load } => {
                    write!(f, " {} of ({outer}, n, {inner})", pass.key())?;
                    if *first || *last {
                        f.write_str(direction(*inverse, *shift > 0))?;
                    }
                    if let Some(middle) = middle {
                        write!(f, " middle{}", times(middle))?;
                    }
                    if *last && (keep.1 - keep.0) * outer * inner < load.extents.iter().product() {
                        write!(f, " keep {}..{}", keep.0, keep.1)?;
                    }
                    f.write_str(&times(post))?;
                }
                Kernel::Gather { index, .. } | Kernel::Scatter { index, .. } => write!(f, " by {index:?}")?,
                Kernel::Interpolate { points, weights, .. } | Kernel::Spread { points, weights, .. } => {
                    let from = match weights {
                        Weights::Table => "a table",
                        Weights::Polynomials => "polynomials",
                    };
                    write!(f, " {points:?}, weights from {from}")?;
                }
                Kernel::Zero { .. } | Kernel::Map { .. } | Kernel::Add { .. } => {}
            }
            if let Some(w) = s.kernel.work() {
                let slot = self.memory.slot_of[w.at()].unwrap_or_default();
                write!(f, ", work {:?} (buffer {slot})", self.values[w.at()].extents)?;
            }
            writeln!(f)?;
        }
        let c = self.cost();
        writeln!(f, "return v{}", self.output.0)?;
        writeln!(
            f,
            "{} kernels, {} bytes read, {} written, {} flops, scratch {} bytes in {} buffers",
            self.steps.len(),
            c.read,
            c.written,
            c.flops,
            self.memory.scratch_bytes(),
            self.memory.slots.len()
        )
    }
}

fn read(l: &Load) -> String {
    let mut s = format!("v{}", l.value.0);
    if !l.is_in_order() {
        s += "[";
        for (a, axis) in l.source.axes.iter().enumerate() {
            if a > 0 {
                s += " ";
            }
            let bounds = match l.valid[a] == Validity::total(l.extents[a]) {
                true => String::new(),
                false => format!(" in {}..{}", l.valid[a].lo, l.valid[a].hi),
            };
            s += &match axis {
                AxisIndex::Linear { stride } => format!("{}:{stride}{bounds}", l.extents[a]),
                AxisIndex::Divided { num, off, den, stride } => {
                    format!("{}:({num}n{off:+})/{den}·{stride}{bounds}", l.extents[a])
                }
                AxisIndex::Wrapped { num, off, extent, stride } => {
                    format!("{}:({num}n{off:+} mod {extent})·{stride}{bounds}", l.extents[a])
                }
            };
        }
        s += if l.source.base == 0 { "]" } else { "; " };
        if l.source.base != 0 {
            s += &format!("{:+}]", l.source.base);
        }
    }
    for w in &l.factors {
        s += &format!("·{:?}{}", w.weight, conj_mark(w.conj));
    }
    if l.scale != Complex64::new(1.0, 0.0) {
        s += &format!("·{}", scalar(l.scale));
    }
    s
}

fn times(p: &Post) -> String {
    let mut s = String::new();
    for w in &p.factors {
        s += &format!("·{:?}{}", w.weight, conj_mark(w.conj));
    }
    if p.scale != Complex64::new(1.0, 0.0) {
        s += &format!("·{}", scalar(p.scale));
    }
    s
}
