//! The small step between `.wgsl` files and a kernel: `#import`, `#ifdef`, `#for`, and words that stand for others.
//!
//! A kernel's file is whole: it can be read from top to bottom.
//!
//! | in the file | gives |
//! |---|---|
//! | `#import index` | a file of `shaders/` or of the kernel's own folder, once |
//! | `#ifdef NAME` … `#else` … `#endif` | the one part where the kernel defines NAME, else the other |
//! | `#for c in BLOCK` … `#endfor` | the lines between, BLOCK times, with `{c}` as 0, 1 … and `{c-1}` as the number before, in directives too: sums that stay in registers on every driver |
//! | `NAME` | what the kernel defines it to be, a number or a type |
//!
//! `T` is the type of a kernel's results, `f32` or `vec2<f32>`; `U` that of the UNIT results that it makes at once, `T` or, of 16 bytes,
//! `vec4<f32>`. They are no WGSL aliases: two spellings of one type are two types to some translators.

use crate::error::{Error, Result};
use std::borrow::Cow;
use std::collections::HashMap;

/// Files that several kernels import.
const SHARED: [(&str, &str); 2] =
    [("complex", include_str!("../../shaders/complex.wgsl")), ("index", include_str!("../../shaders/index.wgsl"))];

/// What names stand for in one kernel. One that stands for nothing is only asked for by `#ifdef`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defines(HashMap<String, String>);

impl Defines {
    /// Lets a name stand for something.
    pub fn set(&mut self, name: &str, value: impl ToString) {
        self.0.insert(name.into(), value.to_string());
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The text with every name replaced, word by word; comments speak of the names.
    pub fn replaced(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            let (code, comment) = line.split_at(line.find("//").unwrap_or(line.len()));
            self.replace(code, &mut out);
            out.push_str(comment);
        }
        out
    }

    fn replace(&self, code: &str, out: &mut String) {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut rest = code;
        while !rest.is_empty() {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            out.push_str(self.get(word).unwrap_or(word));
            let end = after.find(is_word).unwrap_or(after.len());
            let (between, after) = after.split_at(end);
            out.push_str(between);
            rest = after;
        }
    }
}

/// A kernel's file with what it imports in front, each once, and without what the defines leave out.
///
/// # Errors
/// An import that does not exist, a block without its end, or another line that starts with `#`.
pub(crate) fn expand(
    name: &str,
    text: &str,
    own: &[(&'static str, &'static str)],
    defines: &Defines,
) -> Result<String> {
    let mut e = Expander { name, own, defines, done: Vec::new(), out: String::new() };
    let lines: Vec<&str> = text.lines().collect();
    e.lines(&lines, 0..lines.len(), &mut Vec::new())?;
    Ok(e.out)
}

/// A file on its way.
struct Expander<'a> {
    name: &'a str,
    /// Files of the kernel's own.
    own: &'a [(&'static str, &'static str)],
    defines: &'a Defines,
    /// Files that were imported.
    done: Vec<&'static str>,
    out: String,
}

impl Expander<'_> {
    /// Appends lines `range` of a text; `{name}` of every loop around is replaced by its number.
    fn lines(&mut self, lines: &[&str], range: std::ops::Range<usize>, loops: &mut Vec<(String, usize)>) -> Result<()> {
        let mut at = range.start;
        while at < range.end {
            let line = lines[at];
            let word = line.trim_start();
            let (directive, rest) = word.split_once(' ').unwrap_or((word, ""));
            let rest = numbered(rest, loops);
            match directive {
                "#import" => self.import(at, rest.trim())?,
                "#ifdef" => {
                    let Block { middle, end } = self.block(lines, at, range.end, "#ifdef", "#endif")?;
                    let otherwise = middle.unwrap_or(end);
                    match self.defines.get(rest.trim()) {
                        Some(_) => self.lines(lines, at + 1..otherwise, loops)?,
                        None => self.lines(lines, (otherwise + 1).min(end)..end, loops)?,
                    }
                    at = end;
                }
                "#for" => {
                    let Block { end, .. } = self.block(lines, at, range.end, "#for", "#endfor")?;
                    let Some((name, count)) = rest.split_once(" in ") else {
                        return self.fail(at, "expected #for NAME in COUNT");
                    };
                    let count = self.defines.get(count.trim()).unwrap_or(count.trim()).parse::<usize>();
                    let Ok(count) = count else { return self.fail(at, "the count is no number") };
                    for k in 0..count {
                        loops.push((name.trim().into(), k));
                        self.lines(lines, at + 1..end, loops)?;
                        loops.pop();
                    }
                    at = end;
                }
                _ if directive.starts_with('#') => return self.fail(at, line),
                _ => {
                    self.out.push_str(&numbered(line, loops));
                    self.out.push('\n');
                }
            }
            at += 1;
        }
        Ok(())
    }

    fn import(&mut self, at: usize, import: &str) -> Result<()> {
        let Some((name, text)) = SHARED.iter().chain(self.own).find(|(n, _)| *n == import) else {
            return self.fail(at, &format!("cannot import {import}"));
        };
        if self.done.contains(name) {
            return Ok(());
        }
        self.done.push(*name);
        let lines: Vec<&str> = text.lines().collect();
        self.lines(&lines, 0..lines.len(), &mut Vec::new())
    }

    /// Where the block that begins at a line ends, and its `#else`.
    fn block(&self, lines: &[&str], begin: usize, end: usize, opens: &str, closes: &str) -> Result<Block> {
        let (mut depth, mut middle) = (0, None);
        for (at, line) in lines.iter().enumerate().take(end).skip(begin + 1) {
            match line.split_whitespace().next() {
                Some(word) if word == opens => depth += 1,
                Some(word) if word == closes && depth == 0 => return Ok(Block { middle, end: at }),
                Some(word) if word == closes => depth -= 1,
                Some("#else") if depth == 0 && opens == "#ifdef" => middle = Some(at),
                _ => {}
            }
        }
        self.fail(begin, &format!("{opens} without {closes}"))
    }

    fn fail<R>(&self, line: usize, what: &str) -> Result<R> {
        Err(Error::Shader { kernel: self.name.into(), message: format!("line {}: {what}", line + 1) })
    }
}

/// A line with the numbers of the loops around it.
fn numbered<'a>(line: &'a str, loops: &[(String, usize)]) -> Cow<'a, str> {
    match line.contains('{') {
        true => loops.iter().fold(line.into(), |l, (name, k)| {
            let own = l.replace(&format!("{{{name}}}"), &k.to_string());
            match k.checked_sub(1) {
                Some(before) => own.replace(&format!("{{{name}-1}}"), &before.to_string()).into(),
                None => own.into(),
            }
        }),
        false => line.into(),
    }
}

/// A part of a file: the lines between a directive and `end`, with the line of `#else` where there is one.
struct Block {
    middle: Option<usize>,
    end: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_numbers_and_parts_are_left_out() {
        let mut d = Defines::default();
        d.set("T", "vec2<f32>");
        d.set("TAPS", 6);
        let text = "let a = T(); // T, not Tile\n#ifdef TAPS\nlet n = TAPS;\n#else\nlet n = 0;\n#endif\n#ifdef MISSING\n#import index\n#endif\n";
        let out = d.replaced(&expand("k", text, &[], &d).unwrap());
        assert_eq!(out, "let a = vec2<f32>(); // T, not Tile\nlet n = 6;\n");
    }

    #[test]
    fn loops_are_written_out() {
        let mut d = Defines::default();
        d.set("BLOCK", 2);
        let text = "#for c in BLOCK\nlet a{c} = {c}u;\n#for k in 2\nlet b{c}_{k} = 0u;\n#endfor\n#endfor\nend\n";
        let want = "let a0 = 0u;\nlet b0_0 = 0u;\nlet b0_1 = 0u;\nlet a1 = 1u;\nlet b1_0 = 0u;\nlet b1_1 = 0u;\nend\n";
        assert_eq!(expand("k", text, &[], &d).unwrap(), want);
        let text = "#for s in 3\n#ifdef AFTER_{s}\nlet a{s} = a{s-1};\n#endif\n#endfor\n";
        d.set("AFTER_1", "");
        d.set("AFTER_2", "");
        assert_eq!(expand("k", text, &[], &d).unwrap(), "let a1 = a0;\nlet a2 = a1;\n");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let d = Defines::default();
        for (text, what) in [
            ("a\n#import nothing\n", "line 2: cannot import nothing"),
            ("#ifdef A\n", "line 1: #ifdef without #endif"),
            ("#for c in 3\n", "line 1: #for without #endfor"),
            ("#for c in X\n#endfor\n", "line 1: the count is no number"),
            ("#endif\n", "line 1: #endif"),
            ("#include x\n", "line 1: #include x"),
        ] {
            let e = expand("k", text, &[], &d).unwrap_err().to_string();
            assert!(e.contains(what), "{e}");
        }
    }
}
