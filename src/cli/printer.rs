//! What goes to stdout and stderr. Nothing here panics when a pipe is closed.

use super::output::stdout_is_data;
use super::pretty::Pretty;
use linops::solve::Stop;
use linops::{Error, Result};
use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Prints results: text as it comes, or one JSON value; to stderr where data go to stdout.
pub struct Printer {
    json: bool,
    /// What is kept instead of printed.
    kept: Option<RefCell<Kept>>,
    /// The first write that failed.
    failure: RefCell<Option<io::Error>>,
}

/// What a printer keeps that does not print.
#[derive(Clone, Default)]
pub struct Kept {
    /// Labels with their texts.
    pub fields: Vec<(String, String)>,
    /// The values for `--json`.
    pub values: Vec<serde_json::Value>,
}

impl Printer {
    pub fn new(json: bool) -> Printer {
        Printer { json, kept: None, failure: RefCell::new(None) }
    }

    /// One that keeps what it is given, for the summary of several results.
    pub fn keeping() -> Printer {
        Printer { kept: Some(RefCell::default()), ..Printer::new(false) }
    }

    /// What was kept.
    pub fn kept(&self) -> Kept {
        self.kept.as_ref().map(|kept| kept.borrow().clone()).unwrap_or_default()
    }

    /// A line of text; nothing with `--json`.
    pub fn line(&self, text: impl Display) {
        if !self.json && self.kept.is_none() {
            self.write(format_args!("{text}\n"));
        }
    }

    /// A line `label   text`, the texts below each other, as far as labels are no longer than usual.
    pub fn field(&self, label: &str, text: impl Display) {
        if let Some(kept) = &self.kept {
            kept.borrow_mut().fields.push((label.into(), text.to_string()));
        }
        self.line(format_args!("{label:<10} {text}"));
    }

    /// The result for `--json`; nothing without.
    pub fn json(&self, value: &serde_json::Value) {
        if let Some(kept) = &self.kept {
            kept.borrow_mut().values.push(value.clone());
        }
        if self.json {
            self.write(format_args!("{}\n", Pretty(value)));
        }
    }

    fn write(&self, text: std::fmt::Arguments) {
        let mut failure = self.failure.borrow_mut();
        if failure.is_none() {
            let mut out: Box<dyn Write> = match stdout_is_data() {
                true => Box::new(io::stderr().lock()),
                false => Box::new(io::stdout().lock()),
            };
            *failure = out.write_fmt(text).and_then(|()| out.flush()).err();
        }
    }

    /// Whether everything could be printed. A reader that has gone, as in `linops … | head`, is no error.
    pub fn finish(&self) -> Result<()> {
        match self.failure.take() {
            Some(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::file("stdout", format!("cannot write: {e}"))),
            _ => Ok(()),
        }
    }
}

/// A message on stderr.
pub fn complain(message: &str) {
    // If stderr is gone there is nowhere left to say so.
    let _ = writeln!(io::stderr(), "linops: {message}");
}

/// A number for people, to four digits: 0.01, 0.007659, 1e-6.
pub fn short(value: impl Into<f64>) -> String {
    let value = value.into();
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    match rounded.abs() {
        0.0 => "0".into(),
        1e-3..1e6 => rounded.to_string(),
        _ => format!("{rounded:e}"),
    }
}

/// What is to be said of a solve that could have gone on.
pub fn not_at_rest(stop: Stop) -> Option<String> {
    (stop == Stop::Iterations).then(|| {
        "the objective is not at rest after all iterations; give more --iterations, or a larger --tol".to_string()
    })
}

/// "1 kernel", "2 kernels"
pub fn count_of(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// An f32 for JSON, by its shortest decimals: 0.001, not 0.0010000000474974513.
pub fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        for (value, text) in [
            (0.010000004, "0.01"),
            (0.0076586828, "0.007659"),
            (1e-6, "1e-6"),
            (1e-4, "1e-4"),
            (0.0, "0"),
            (100.0, "100"),
            (12345.678, "12350"),
            (2e30, "2e30"),
        ] {
            assert_eq!(short(value), text);
        }
        assert_eq!(short(0.01f32), "0.01");
        assert_eq!((count_of(1, "kernel"), count_of(0, "kernel")), ("1 kernel".into(), "0 kernels".into()));
    }
}
