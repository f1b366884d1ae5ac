//! What goes to stdout and stderr. Nothing here panics when a pipe is closed.

use linops::{Error, Result};
use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Prints results: text as it comes, or one JSON value.
pub struct Printer {
    json: bool,
    /// The first write that failed.
    failure: RefCell<Option<io::Error>>,
}

impl Printer {
    pub fn new(json: bool) -> Printer {
        Printer { json, failure: RefCell::new(None) }
    }

    /// A line of text; nothing with `--json`.
    pub fn line(&self, text: impl Display) {
        if !self.json {
            self.write(format_args!("{text}\n"));
        }
    }

    /// A line `label   text`, the texts below each other.
    pub fn field(&self, label: &str, text: impl Display) {
        self.line(format_args!("{label:<11}{text}"));
    }

    /// The result for `--json`; nothing without.
    pub fn json(&self, value: &serde_json::Value) {
        if self.json {
            self.write(format_args!("{value:#}\n"));
        }
    }

    fn write(&self, text: std::fmt::Arguments) {
        let mut failure = self.failure.borrow_mut();
        if failure.is_none() {
            let mut out = io::stdout().lock();
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

/// An f32 for JSON, by its shortest decimals: 0.001, not 0.0010000000474974513.
pub fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}
