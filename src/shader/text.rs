//! The text of one kernel: declarations, fused functions, and the file or generated body around them.

use super::draft::{Binding, Draft, Operand};
use super::read::Window;
use super::template::expand;
use super::words::Words;
use crate::error::Result;
use crate::program::Store;
use std::fmt::Write;
use std::sync::Arc;

/// A kernel's text in the making.
pub(super) struct Text {
    complex: bool,
    pub(super) words: Words,
    bindings: Vec<Binding>,
    declared: String,
    pub(super) body: String,
    fft: Option<String>,
    defined: Vec<(String, String)>,
}

impl Text {
    pub(super) fn new(complex: bool) -> Text {
        let (words, bindings) = (Words::default(), Vec::new());
        Text { complex, words, bindings, declared: String::new(), body: String::new(), fft: None, defined: Vec::new() }
    }

    pub(super) fn bind(&mut self, number: u32, operand: Operand, element: u64, w: Window, access: &str, name: &str) {
        let kind = match &operand {
            Operand::List(_) => "u32",
            _ if element == 8 => "vec2<f32>",
            _ => "f32",
        };
        let _ = writeln!(self.declared, "@group(0) @binding({number}) var<storage, {access}> {name}: array<{kind}>;");
        self.bindings.push(Binding { number, operand, offset: w.first * element, bytes: w.len * element });
    }

    pub(super) fn fft(&mut self, source: String, table: Arc<Vec<[f32; 2]>>) {
        self.declared += "@group(0) @binding(0) var<uniform> fft: FftParams;\n";
        let w = Window { first: 0, len: table.len() as u64, guarded: false };
        self.bind(1, Operand::Table(table), 8, w, "read", "twiddle");
        self.fft = Some(source);
    }

    /// `fn store(lin, v)`.
    pub(super) fn store(&mut self, store: &Store, len: usize, dst: Window, weigh: Option<&str>, add: bool) {
        self.store_as("store", store, len, dst, weigh, add);
    }

    /// The same for results (outer, n, inner) of which only `keep` is stored along n: `lin` counts all.
    pub(super) fn store_kept(
        &mut self,
        (n, inner): (usize, usize),
        keep: (usize, usize),
        store: &Store,
        len: usize,
        dst: Window,
        weigh: Option<&str>,
    ) {
        self.store_as("store_inside", store, len, dst, weigh, false);
        let (n, inner) = (self.words.u32(n as u32), self.words.u32(inner as u32));
        let (first, count) = (self.words.u32(keep.0 as u32), self.words.u32((keep.1 - keep.0) as u32));
        let _ = write!(
            self.body,
            "fn store(lin: u32, v: T) {{
    let row = lin / {inner};
    let outer = row / {n};
    let k = row - outer * {n} - {first};
    if (k < {count}) {{
        store_inside((outer * {count} + k) * {inner} + lin - row * {inner}, v);
    }}
}}
"
        );
    }

    fn store_as(&mut self, name: &str, store: &Store, len: usize, dst: Window, weigh: Option<&str>, add: bool) {
        let offset = self.words.signed(store.start as i64 - dst.first as i64);
        let index = if store.is_contiguous(len) {
            format!("lin + {offset}")
        } else {
            let (run, pitch) = (self.words.u32(store.run as u32), self.words.u32(store.pitch as u32));
            format!("lin / {run} * {pitch} + lin % {run} + {offset}")
        };
        let value = weigh.map_or("v".to_string(), |f| format!("{f}(lin, v)"));
        let op = if add { "+=" } else { "=" };
        let _ = write!(self.body, "fn {name}(lin: u32, v: T) {{\n    dst[{index}] {op} {value};\n}}\n");
    }

    /// Replaces a word of the kernel's file.
    pub(super) fn define(&mut self, name: &str, value: &str) {
        self.defined.push((name.into(), value.into()));
    }

    pub(super) fn finish(self, file: &str, head: [u32; 8], groups: u64) -> Result<Draft> {
        let main = self.defined.iter().fold(expand(file)?, |text, (name, value)| text.replace(name, value));
        self.assemble(file, &main, head, groups)
    }

    pub(super) fn finish_with(mut self, name: &str, head: [u32; 8], groups: u64) -> Result<Draft> {
        let main = self.fft.take().unwrap_or_default();
        self.assemble(name, &main, head, groups)
    }

    fn assemble(self, name: &str, main: &str, head: [u32; 8], groups: u64) -> Result<Draft> {
        let t = if self.complex { "vec2<f32>" } else { "f32" };
        let params = expand("params")?.replace("WORDS", &self.words.vectors().to_string());
        let mut text = format!("alias T = {t};\n\n{}\n{params}\n", expand("complex")?);
        text += "@group(0) @binding(2) var<uniform> p: Params;\n";
        text += &self.declared;
        text.push('\n');
        text += &self.body;
        text.push('\n');
        text += main;
        let params = head.into_iter().chain(self.words.finish()).collect();
        Ok(Draft { name: name.into(), text, params, fft_params: None, bindings: self.bindings, groups })
    }
}
