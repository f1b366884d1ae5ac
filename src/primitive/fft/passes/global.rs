//! A pass without workgroup memory: one invocation per butterfly, in registers.
//!
//! The shape for CPU adapters, where workgroup memory costs more than a second pass over the array, and for short lengths
//! with enough columns on any device: lanes run along the columns, so that accesses coalesce.

use super::butterfly::Code;
use super::step::Step;
use super::twiddle;

/// Invocations per workgroup.
pub(super) const INVOCATIONS: usize = 64;

/// One step as one dispatch; its radix is the length of the butterfly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct GlobalPass {
    pub(super) step: Step,
    /// Whether weights and the transform back follow.
    pub(super) filter: bool,
}

impl GlobalPass {
    pub(super) fn key(&self) -> String {
        let filter = if self.filter { "-filter" } else { "" };
        format!("global-{}-{}{filter}", self.step.radix, self.step.role())
    }

    pub(super) fn twiddles(&self) -> Vec<[f32; 2]> {
        if self.step.first() { Vec::new() } else { twiddle::table(self.step.done, self.step.radix) }
    }

    /// Workgroups for `outer` × `columns` lines.
    pub(super) fn groups(&self, outer: u64, columns: u64) -> u64 {
        (outer * columns).div_ceil(INVOCATIONS as u64)
    }

    pub(super) fn main(&self) -> String {
        let step = self.step;
        let mut code = Code::default();
        code.line("let group = wid.y * nwg.x + wid.x;");
        code.line(&format!("let id = group * {INVOCATIONS}u + lid;"));
        code.line("if (group >= fft.groups || id >= fft.outer * fft.columns) {");
        code.line("    return;");
        code.line("}");
        code.line("let o = id / fft.columns;");
        code.line("let column = id - o * fft.columns;");
        code.line("let base = (fft.batch0 + o) * fft.total;");
        step.bind_line(&mut code, "column", "");

        code.line(&format!("let start_in = column{};", if step.first() { " + fft.shift_in" } else { "" }));
        let mut x: Vec<String> =
            (0..step.radix).map(|q| code.bind(&step.load("base", &at("start_in", q, "fft.columns")))).collect();
        if !step.first() {
            x = twiddle::apply(
                &mut code,
                &x,
                |slot| if slot == 0 { "k".into() } else { format!("{slot}u * fft.done + k") },
            );
        }
        let mut y = code.dft(&x);
        if self.filter {
            let position = |q| at("column + fft.shift_out", q, "fft.columns");
            let weighted: Vec<String> =
                y.iter().enumerate().map(|(q, v)| code.bind(&super::middle("base", &position(q), v))).collect();
            y = code.dft(&weighted);
        }
        let shift = if step.last() { " + fft.shift_out" } else { "" };
        code.line(&format!("let start_out = {}{shift};", step.output_start("column", "")));
        code.line(&format!("let stride = {};", step.output_stride()));
        for (q, v) in y.iter().enumerate() {
            code.line(&step.store("base", &at("start_out", q, "stride"), v));
        }
        super::entry_point(INVOCATIONS, &code.into_text())
    }
}

/// `start + q·stride`
fn at(start: &str, q: usize, stride: &str) -> String {
    match q {
        0 => start.to_string(),
        1 => format!("{start} + {stride}"),
        _ => format!("{start} + {q}u * {stride}"),
    }
}
