//! The text of one kernel: declarations, fused functions, and the file or generated body around them.

use super::draft::{Binding, Draft, List, Operand};
use super::template::{Defines, expand};
use super::windows::Window;
use super::words::Words;
use crate::access::Store;
use crate::error::Result;
use std::fmt::Write;

/// A kernel's file, or generated text in place of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KernelFile {
    /// The kernel's name in labels and errors.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
    /// Files of its own that it may import, by name.
    pub imports: &'static [(&'static str, &'static str)],
}

/// A kernel's text in the making.
pub(crate) struct Text {
    /// Whether results are complex.
    pub complex: bool,
    pub words: Words,
    pub body: String,
    pub defines: Defines,
    bindings: Vec<Binding>,
    declared: String,
    /// Named parameters before the words.
    header: Vec<(&'static str, u32)>,
}

impl Text {
    /// A kernel whose results are complex or real: `T`.
    pub fn new(complex: bool) -> Text {
        let mut defines = Defines::default();
        let kind = if complex { "vec2<f32>" } else { "f32" };
        defines.set("T", kind);
        defines.set("U", kind);
        defines.set("UNIT", "1u");
        if complex {
            defines.set("COMPLEX", "");
        }
        Text {
            complex,
            words: Words::default(),
            body: String::new(),
            defines,
            bindings: Vec::new(),
            declared: String::new(),
            header: Vec::new(),
        }
    }

    /// Binds a stretch of an operand under a name.
    pub fn bind(&mut self, number: u32, operand: Operand, element: u64, w: Window, access: &str, name: &str) {
        let kind = match &operand {
            Operand::List(_) => "u32",
            _ if element == 8 => "vec2<f32>",
            _ => "f32",
        };
        self.bind_as(number, operand, element, w, access, name, kind);
    }

    /// The same as an array of another type, several of whose elements make one of these.
    #[allow(clippy::too_many_arguments)]
    pub fn bind_as(
        &mut self,
        number: u32,
        operand: Operand,
        element: u64,
        w: Window,
        access: &str,
        name: &str,
        kind: &str,
    ) {
        let _ = writeln!(self.declared, "@group(0) @binding({number}) var<storage, {access}> {name}: array<{kind}>;");
        self.bindings.push(Binding::of(number, operand, element, w));
    }

    /// Binds a whole list.
    pub fn bind_list(&mut self, number: u32, list: &List, name: &str) {
        let w = Window { first: 0, len: list.len() as u64, guarded: false };
        self.bind(number, Operand::List(list.clone()), 4, w, "read", name);
    }

    /// A declaration of the caller's.
    pub fn declare(&mut self, line: &str) {
        self.declared.push_str(line);
        self.declared.push('\n');
    }

    /// A named parameter: `p.NAME` in the kernel's file.
    pub fn param(&mut self, name: &'static str, value: u32) {
        self.header.push((name, value));
    }

    /// A named parameter that is added in index arithmetic, which wraps: it may be negative.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn wrapping_param(&mut self, name: &'static str, value: i64) {
        self.header.push((name, value as u32));
    }

    /// `fn value(lin)`: the sum of the first reads at a linear index of what they read, which is the result's own where a kernel
    /// moves nothing.
    pub fn value_of(&mut self, reads: usize) {
        let terms: Vec<String> = (0..reads).map(|k| format!("load{k}(lin, 0u)")).collect();
        let sum = if terms.is_empty() { "U()".into() } else { terms.join(" + ") };
        let _ = write!(self.body, "fn value(lin: u32) -> U {{\n    return {sum};\n}}\n");
    }

    /// `fn NAME(lin, v)`: stores or adds a result, weighted by the function `weigh` where there is one.
    pub fn store(&mut self, name: &str, to: &StoreTo, weigh: Option<&str>) {
        let index = to.index(&mut self.words);
        let value = weigh.map_or("v".to_string(), |f| format!("{f}(lin, v)"));
        let op = if to.add { "+=" } else { "=" };
        let _ = write!(self.body, "fn {name}(lin: u32, v: T) {{\n    dst[{index}] {op} {value};\n}}\n");
    }

    /// The dispatch of this kernel over so many workgroups.
    ///
    /// # Errors
    /// A number has more than 32 bits, or the file's directives are wrong.
    pub fn finish(self, file: KernelFile, groups: u64) -> Result<Draft> {
        let main = expand(file.name, file.text, file.imports, &self.defines)?;
        self.assemble(file.name, &main, groups)
    }

    /// The same around generated text.
    ///
    /// # Errors
    /// A number has more than 32 bits.
    pub fn assemble(self, name: &str, main: &str, groups: u64) -> Result<Draft> {
        let mut params = "// What differs between dispatches of this kernel.\nstruct Params {\n".to_string();
        self.header.iter().for_each(|(name, _)| {
            let _ = writeln!(params, "    {name}: u32,");
        });
        let _ = writeln!(params, "    w: array<vec4<u32>, {}>,\n}}", self.words.vectors());
        let mut text = format!("{params}\n@group(0) @binding(2) var<uniform> p: Params;\n{}\n", self.declared);
        if self.body.contains("cmul") && !main.contains("fn cmul") {
            text += include_str!("../../shaders/complex.wgsl");
            text.push('\n');
        }
        if self.body.contains("_pair(") {
            text += include_str!("../../shaders/pairs.wgsl");
            text.push('\n');
        }
        text += &self.body;
        text.push('\n');
        text += main;
        let mut values: Vec<u32> = self.header.iter().map(|(_, v)| *v).collect();
        values.resize(values.len().next_multiple_of(4), 0);
        values.extend(self.words.finish()?);
        let text = self.defines.replaced(&text);
        let (name, bindings) = (name.into(), self.bindings);
        Ok(Draft { name, text, params: values, fft_params: None, bindings, groups, own: None })
    }
}

/// Where a kernel's results go.
pub(crate) struct StoreTo {
    pub store: Store,
    /// Number of results of the whole step.
    pub len: usize,
    /// The bound stretch of the destination.
    pub dst: Window,
    /// Whether results are added to what is there.
    pub add: bool,
}

impl StoreTo {
    /// Where result `lin` goes in the bound stretch.
    pub fn index(&self, words: &mut Words) -> String {
        let StoreTo { store, len, dst, .. } = self;
        let offset = words.term(store.start as i64 - dst.first as i64);
        if store.is_contiguous(*len) {
            return format!("lin + {offset}");
        }
        let (run, pitch) = (words.count(store.run), words.count(store.pitch));
        format!("lin / {run} * {pitch} + lin % {run} + {offset}")
    }
}
