//! What a linop file can name, described once: what an op computes, its fields, an example, and what makes it.
//!
//! The description is the authority on fields: one that it lacks is refused before anything is made, and the tests ask for
//! every field that it has.

use super::Loader;
use super::fields::Fields;
use crate::dim::Shape;
use crate::error::Result;
use crate::linop::Linop;
use std::fmt;

/// Makes a linop of its fields and of the input that they or the surroundings give.
pub(super) type Build = fn(&Loader, &mut Fields, Option<Shape>) -> Result<Linop>;

/// An op of linop files: what it computes, its fields, and examples. All of them: [`FileOp::all`].
pub struct FileOp {
    /// Its name: the field `op`.
    pub name: &'static str,
    /// What it is, on one line.
    pub summary: &'static str,
    /// What it computes, and what that rests on.
    pub forward: &'static str,
    /// Its own fields; those that all ops have are [`COMMON_FIELDS`].
    pub fields: &'static [FileField],
    /// Linop files, the simplest first; they need no other file, and together they give every field.
    pub examples: &'static [&'static str],
    pub(super) build: Build,
}

/// A field of an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileField {
    /// Its name.
    pub name: &'static str,
    /// What its value is: "array", "list of dims".
    pub kind: &'static str,
    /// Whether it may be left out, and what that means.
    pub default: FieldDefault,
    /// What it says.
    pub meaning: &'static str,
}

/// What leaving a field out means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldDefault {
    /// It cannot be left out.
    Needed,
    /// The same as this value, in JSON.
    Value(&'static str),
    /// What these words say; none where there is nothing to say.
    Words(&'static str),
}

impl fmt::Display for FieldDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FieldDefault::Needed => "needed",
            FieldDefault::Value(text) | FieldDefault::Words(text) => text,
        })
    }
}

/// A field that cannot be left out.
pub(super) const fn must(name: &'static str, kind: &'static str, meaning: &'static str) -> FileField {
    FileField { name, kind, default: FieldDefault::Needed, meaning }
}

/// A field with a default, in JSON.
pub(super) const fn or_else(
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> FileField {
    FileField { name, kind, default: FieldDefault::Value(default), meaning }
}

/// A field that may be left out, with what that means in words.
pub(super) const fn open(
    name: &'static str,
    kind: &'static str,
    without: &'static str,
    meaning: &'static str,
) -> FileField {
    FileField { name, kind, default: FieldDefault::Words(without), meaning }
}

/// `axes`: the dims that an op works along.
pub(super) const fn axes(meaning: &'static str) -> FileField {
    must("axes", DIMS, meaning)
}

/// `out`, where it is more than a renaming.
pub(super) const fn out(meaning: &'static str) -> FileField {
    must("out", NAMES, meaning)
}

/// Kinds of values that many fields have.
pub(super) const DIMS: &str = "list of dims";
pub(super) const NAMES: &str = "names of dims, as text";
pub(super) const ARRAY: &str = "array";
pub(super) const FLAG: &str = "true or false";
pub(super) const NUMBER: &str = "number";
pub(super) const COUNT: &str = "whole number";
pub(super) const SCALAR: &str = "number or [re, im]";
pub(super) const EXTENTS: &str = "extents by dim";
pub(super) const LINOPS: &str = "list of linops";

/// The fields that every op has.
pub const COMMON_FIELDS: &[FileField] = &[
    must("op", "text", "the name of the op"),
    open(
        "in",
        "dims with extents, as text",
        "inferred",
        "the input, in the order of its axes: `\"C=8 Ny=256 Nx=256\"`. It may be left out where something says it already: the \
         linop before in a chain, the container around, or an array that has all of the input's dims. \
         `\"... Ny=4 Nx=6\"`, in the outermost linop alone, takes any dims in front",
    ),
    open(
        "out",
        NAMES,
        "the op's names",
        "new names for the output's dims, all of them and in the op's own order; `...` stands for those that keep their names: \
         `\"... Ky Kx\"`. Without it dims that an op resizes or \
         transforms get the next unused name (`Nx`, then `Nx1`), all others keep theirs, and a container has the names of its \
         linops",
    ),
    open("name", "text", "none", "a label, shown by `linops explain` and in errors"),
];

impl FileOp {
    /// All fields: those of its own, then the common ones that it does not describe itself.
    pub fn all_fields(&self) -> impl Iterator<Item = &'static FileField> {
        let own = self.fields;
        own.iter().chain(COMMON_FIELDS.iter().filter(|common| own.iter().all(|f| f.name != common.name)))
    }

    /// The field of this name, if the op has one.
    pub fn field(&self, name: &str) -> Option<&'static FileField> {
        self.all_fields().find(|f| f.name == name)
    }

    /// Whether linops lie in it.
    pub fn is_container(&self) -> bool {
        self.fields.iter().any(|f| f.name == "linop" || f.name == "linops")
    }
}

impl fmt::Debug for FileOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.summary)
    }
}
