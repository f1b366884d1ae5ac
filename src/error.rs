//! The one error type. Messages say what was expected, what came, and what to do.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Result with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, from a wrong extent to a lost device.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Dim names or extents that do not fit.
    #[error("{0}")]
    Shape(String),
    /// A value outside its domain: a negative λ, a NaN in data, a step of 0.
    #[error("{0}")]
    Value(String),
    /// A size that does not fit this device at all; smaller pieces are needed.
    #[error("{what} needs {needed} bytes, the limit is {limit} bytes; use smaller extents or another device")]
    TooBig {
        /// What was to be allocated or bound.
        what: String,
        /// Bytes needed.
        needed: u64,
        /// Bytes available at most.
        limit: u64,
    },
    /// Memory that is not available now, but may be later.
    #[error("out of memory: {0}; free some tensors or use a smaller problem")]
    OutOfMemory(String),
    /// A file that cannot be read or written.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        message: String,
    },
    /// No device, or the wrong one, for what was asked.
    #[error("{0}")]
    Device(String),
    /// The device was lost (driver reset, unplugged); the next call may open a new one.
    #[error("the device was lost: {0}; open the device again")]
    DeviceLost(String),
    /// A wait on the device took longer than its time limit.
    #[error(
        "the device did not answer within {seconds} s; the driver may hang, or the work is too large for one submit"
    )]
    Timeout {
        /// The limit that was exceeded.
        seconds: u64,
    },
    /// Code of a sub-linop that panicked; the place in front of the message says which.
    #[error("panicked: {0}; this is a fault of that linop's code, its other sub-linops were ended")]
    Panicked(String),
    /// Stopped by the caller before it was done.
    #[error("cancelled before it was done")]
    Cancelled,
    /// A kernel that the assembler, naga or the driver refused.
    #[error("kernel {kernel}: {message}")]
    Shader {
        /// The kernel's key.
        kernel: String,
        /// The compiler's message.
        message: String,
    },
    /// An error at a place: a path in a linop (`chain[2].fft`), a linop file, or source code.
    #[error("{at}: {source}")]
    At {
        /// The place.
        at: String,
        /// What went wrong there.
        source: Box<Error>,
    },
}

/// The message, as `Display` has it: it is what a program shows whose `main` returns the error, and what `unwrap` shows.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// The same error, with a place in front: `at: message`.
    pub fn at(self, at: impl Into<String>) -> Self {
        Error::At { at: at.into(), source: Box::new(self) }
    }

    /// An error about a file.
    pub fn file(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Error::File { path: path.as_ref().to_path_buf(), message: message.into() }
    }

    /// The error without the places in front of it.
    pub fn root(&self) -> &Error {
        match self {
            Error::At { source, .. } => source.root(),
            other => other,
        }
    }
}

/// A panic of somebody's code as an error.
pub(crate) fn caught<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    // What a panic leaves half-written is scratch, or a result that nobody gets.
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|s| s.to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Error::Panicked(text.unwrap_or_else(|| "no message".into())))
    })
}

/// `Err(Error::Shape(format!(…)))`
macro_rules! shape_err {
    ($($arg:tt)*) => { Err($crate::error::Error::Shape(format!($($arg)*))) };
}
/// `Err(Error::Value(format!(…)))`
macro_rules! value_err {
    ($($arg:tt)*) => { Err($crate::error::Error::Value(format!($($arg)*))) };
}
pub(crate) use {shape_err, value_err};
