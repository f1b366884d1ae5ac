//! Linop files: a linear operator as JSON, a thin skin over the constructors of [`linop`](crate::linop).
//!
//! Each op has a function of [`Loader`] and beside it a [`FileOp`] that describes it; the table of them is in `ops`.
//! Errors name the file, the path inside the JSON (`linops[2].weight`) and what was expected.

mod arrays;
mod containers;
mod embedded;
mod fields;
mod json;
mod leaves;
mod nearest;
mod neighbours;
mod op;
mod ops;
mod own;
mod page;
mod points;
mod projection;
mod save;
#[cfg(test)]
mod tests;
mod transforms;

pub use op::{COMMON_FIELDS, FieldDefault, FileField, FileOp};
pub use page::linop_files_page;
pub use save::SaveOptions;

use super::file::read_text;
use crate::dim::{Bindings, Pattern, Shape};
use crate::error::{Error, Result, shape_err};
use crate::linop::Linop;
use fields::Fields;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

/// Containers inside containers, at most: far beyond real operators, and far within the stack.
const MAX_DEPTH: usize = 48;

/// Largest linop file in bytes: it names arrays, it does not hold them.
const MAX_BYTES: u64 = 64 << 20;

/// Dims of an input, at most: far beyond real operators, and plans of more take time and memory by the square.
const MAX_RANK: usize = 1024;

/// A linop from a file, and what it was read from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LinopFile {
    /// The linop.
    pub linop: Linop,
    /// Whether `in` of the file begins with `...`, as in `"... Ny=4 Nx=6"`: the linop is meant for inputs with any dims in front,
    /// by [`Linop::batched`]; `linop` itself is the one without.
    pub any_in_front: bool,
    /// The file itself and those of its arrays, of a pair both.
    pub files: Vec<PathBuf>,
}

impl LinopFile {
    /// Reads a linop from a JSON file; arrays are found relative to it.
    ///
    /// # Errors
    /// Those of [`Linop::from_file`].
    pub fn read(path: impl AsRef<Path>) -> Result<LinopFile> {
        let path = path.as_ref();
        let text = read_text(path, MAX_BYTES, "a linop file")?;
        let value = parsed(&text).map_err(|e| Error::file(path, e))?;
        let loader = Loader::new(path.parent().unwrap_or(Path::new("")));
        loader.files.borrow_mut().push(path.to_path_buf());
        let linop = loader.linop(&value, None, &Place::default()).map_err(|e| e.at(path.display().to_string()))?;
        Ok(LinopFile { linop, any_in_front: loader.any_in_front.get(), files: loader.files.into_inner() })
    }
}

/// The JSON value of a text, or what is wrong with it.
fn parsed(text: &str) -> Result<Value, String> {
    json::parse(text).map_err(|e| {
        let deep = e.to_string().contains("recursion limit");
        let hint = if deep { "; linops may be nested at most 48 deep" } else { "" };
        let what = if e.is_data() { "" } else { "not JSON: " };
        format!("{what}{e}{hint}")
    })
}

impl Linop {
    /// Reads a linop from a JSON file; arrays are found relative to it.
    ///
    /// # Errors
    /// The file or one of its arrays cannot be read, a field or op is unknown, a key stands twice, or shapes do not fit; the
    /// message names the file and the place in it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Linop> {
        LinopFile::read(path).map(|file| file.linop)
    }
}

/// Reads linops whose arrays lie in one folder.
struct Loader {
    folder: PathBuf,
    /// What has been read so far.
    files: RefCell<Vec<PathBuf>>,
    /// Whether the outermost input has `...` in front.
    any_in_front: Cell<bool>,
    /// The fields that ops have asked for.
    #[cfg(test)]
    asked: RefCell<std::collections::BTreeSet<(&'static str, String)>>,
}

/// Where in the JSON: `linops[2].linop`.
#[derive(Clone, Default)]
struct Place {
    path: String,
    depth: usize,
}

impl Place {
    fn field(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) }
    }

    fn child(&self, name: &str) -> Place {
        Place { path: self.field(name), depth: self.depth + 1 }
    }
}

impl Loader {
    fn new(folder: &Path) -> Loader {
        Loader {
            folder: folder.to_path_buf(),
            files: RefCell::default(),
            any_in_front: Cell::new(false),
            #[cfg(test)]
            asked: RefCell::default(),
        }
    }

    /// The linop of a JSON value; `given` is the input that its surroundings imply.
    fn linop(&self, value: &Value, given: Option<&Shape>, place: &Place) -> Result<Linop> {
        if place.depth > MAX_DEPTH {
            return shape_err!("linops are nested more than {MAX_DEPTH} deep at {}", place.path);
        }
        let mut f = Fields::new(value, place)?;
        let op = f.text("op")?.ok_or_else(|| f.wrong("op", "is missing; expected the linop's name, as in \"fft\""))?;
        let op = FileOp::named(&op).map_err(|e| f.at("op", e))?;
        f.describe(op)?;
        let input = self.input(&mut f, given)?;
        let linop = (op.build)(self, &mut f, input)?;
        let linop = match f.text("name")? {
            Some(name) => linop.named(name),
            None => linop,
        };
        f.expect_all_read(op)?;
        #[cfg(test)]
        self.asked.borrow_mut().extend(f.asked().into_iter().map(|field| (op.name, field)));
        Ok(linop)
    }

    /// What `in` says, matched with what the surroundings imply.
    fn input(&self, f: &mut Fields, given: Option<&Shape>) -> Result<Option<Shape>> {
        let Some(text) = f.text("in")? else { return Ok(given.cloned()) };
        let read = || -> Result<Shape> {
            let pattern: Pattern = text.parse()?;
            if let Some(given) = given {
                let mut bindings = Bindings::default();
                pattern.bind(given, &mut bindings)?;
                return Ok(given.clone());
            }
            let behind = pattern.behind_rest();
            if behind.is_some() && !f.is_outermost() {
                return shape_err!(
                    "\"{text}\" begins with ..., which only the \"in\" of the whole file may; write it there, before the first linop"
                );
            }
            self.any_in_front.set(self.any_in_front.get() | behind.is_some());
            let pattern = behind.unwrap_or(pattern);
            let shape = pattern.to_full().unwrap_or_else(|| {
                shape_err!("\"{text}\" leaves dims or extents open and nothing before says them; write each as Ny=256")
            })?;
            match shape.rank() {
                rank if rank > MAX_RANK => shape_err!("has {rank} dims; a linop file's have at most {MAX_RANK}"),
                _ => Ok(shape),
            }
        };
        read().map(Some).map_err(|e| f.at("in", e))
    }
}

/// The input, where a linop cannot do without.
fn needed(input: Option<Shape>, f: &Fields) -> Result<Shape> {
    input.ok_or_else(|| {
        f.wrong("in", "is missing and cannot be inferred; give dims with extents, as in \"Ny=256 Nx=256\"")
    })
}

/// What a constructor made, under the names of `out`.
fn made(linop: Result<Linop>, f: &mut Fields) -> Result<Linop> {
    renamed(linop.map_err(|e| f.here(e))?, f)
}

/// Applies `out` as a positional rename, if it is there.
fn renamed(linop: Linop, f: &mut Fields) -> Result<Linop> {
    match f.text("out")? {
        Some(out) => linop.out(&out).map_err(|e| f.at("out", e)),
        None => Ok(linop),
    }
}
