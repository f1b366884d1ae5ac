//! Linops with linops inside.

use super::fields::Fields;
use super::{Loader, renamed};
use crate::dim::Shape;
use crate::error::Result;
use crate::ir::ThreadSettings;
use crate::linop::{self, Linop, OffResonanceOptions, Segmentation, Segments};
use serde_json::Value;

impl Loader {
    /// The children; each is given what `given` says of its index and those before it.
    fn children(&self, f: &Fields, given: impl Fn(usize, &[Linop]) -> Result<Option<Shape>>) -> Result<Vec<Linop>> {
        let mut linops: Vec<Linop> = Vec::new();
        for (i, v) in f.list("linops")?.iter().enumerate() {
            let shape = given(i, &linops)?;
            linops.push(self.linop(v, shape.as_ref(), &f.child(&format!("linops[{i}]")))?);
        }
        Ok(linops)
    }

    pub(super) fn chain(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let linops = self.children(f, |_, before| match before.last() {
            Some(l) => l.output().cloned().map(Some),
            None => Ok(input.clone()),
        })?;
        renamed(linop::chain(linops).map_err(|e| f.here(e))?, f)
    }

    /// Children that all take the container's input.
    fn siblings(&self, f: &Fields, input: &Option<Shape>) -> Result<Vec<Linop>> {
        self.children(f, |_, before| match (input, before.first()) {
            (None, Some(first)) => first.input().cloned().map(Some),
            (input, _) => Ok(input.clone()),
        })
    }

    pub(super) fn add(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let linops = self.siblings(f, &input)?;
        let Some(list) = f.get("weights") else { return threaded(linop::add(linops).map_err(|e| f.here(e))?, f) };
        let Some(list) = list.as_array() else {
            return Err(f.wrong("weights", "expected a list of numbers or [re, im]"));
        };
        let one = |(i, v)| f.complex(&format!("weights[{i}]"), v);
        let weights = list.iter().enumerate().map(one).collect::<Result<Vec<_>>>()?;
        threaded(linop::add_weighted(linops, &weights).map_err(|e| f.at("weights", e))?, f)
    }

    pub(super) fn concat(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (in_dim, out_dim) = (f.text("in_dim")?, f.text("out_dim")?);
        let linops = match in_dim {
            Some(_) => self.children(f, |_, _| Ok(None))?,
            None => self.siblings(f, &input)?,
        };
        let linop = linop::concat(linops, in_dim.as_deref(), out_dim.as_deref()).map_err(|e| f.here(e))?;
        threaded(checked(linop, input, f)?, f)
    }

    pub(super) fn stack(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (in_dim, out_dim) = (f.text("in_dim")?, f.text("out_dim")?);
        let (in_position, out_position) = (f.count("in_position")?.unwrap_or(0), f.count("out_position")?.unwrap_or(0));
        let linops = match (&in_dim, &input) {
            (None, _) => self.siblings(f, &input)?,
            (Some(_), None) => self.siblings(f, &None)?,
            (Some(d), Some(whole)) => {
                let axis = d.parse().and_then(|d| whole.require(d)).map_err(|e| f.at("in_dim", e))?;
                let (mut dims, mut extents) = (whole.dims().to_vec(), whole.extents().to_vec());
                dims.remove(axis);
                extents.remove(axis);
                self.siblings(f, &Some(Shape::new(dims, extents)?))?
            }
        };
        let new_in = in_dim.as_deref().map(|d| (d, in_position));
        let new_out = out_dim.as_deref().map(|d| (d, out_position));
        let linop = linop::stack(linops, new_in, new_out).map_err(|e| f.here(e))?;
        threaded(checked(linop, input, f)?, f)
    }

    /// A linop over dims in front: those of `sizes`, or those that the input has beyond the linop's own.
    pub(super) fn over(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let sizes = f.extents("sizes")?;
        let place = f.child("linop");
        let inner = match (&sizes, &input) {
            (Some(sizes), Some(whole)) => {
                let sizes: Shape = sizes.parse().map_err(|e| f.at("sizes", e))?;
                let (dims, extents) = whole.iter().filter(|(d, _)| sizes.axis(*d).is_none()).unzip();
                self.linop(wrapped(f)?, Some(&Shape::new(dims, extents)?), &place)?
            }
            _ => self.linop(wrapped(f)?, None, &place)?,
        };
        let linop = match (sizes, &input) {
            (Some(sizes), _) => inner.over(sizes).map_err(|e| f.at("sizes", e))?,
            (None, Some(whole)) => inner.batched().for_input(whole).map_err(|e| f.at("in", e))?,
            (None, None) => return Err(f.wrong("sizes", "is missing; expected extents keyed by dim, as in {\"T\": 8}")),
        };
        renamed(checked(linop, input, f)?, f)
    }

    pub(super) fn kron(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let linops = self.children(f, |_, _| Ok(None))?;
        renamed(checked(linop::kron(linops).map_err(|e| f.here(e))?, input, f)?, f)
    }

    pub(super) fn off_resonance(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let inner = self.linop(wrapped(f)?, input.as_ref(), &f.child("linop"))?;
        let field = self.wide(f, "field", "the path of an array of frequencies in Hz")?;
        let times = self.wide(f, "times", "the path of an array of times in seconds")?;
        let dims = f.need_text("field_dims", "the names of the field's axes, as in \"Ny Nx\"")?;
        let time_dims = f.need_text("time_dims", "the names of the times' axes, as in \"S\"")?;
        let segments = match (f.count("segments")?, f.number("tol")?) {
            (Some(n), None) => Segments::Count(n),
            (None, Some(tol)) => Segments::Tol(tol),
            (None, None) => Segments::default(),
            _ => return Err(f.wrong("tol", "goes without \"segments\"; give one of them")),
        };
        let of = match f.text("of")?.as_deref() {
            None | Some("time") => Segmentation::Time,
            Some("frequency") => Segmentation::Frequency,
            Some(other) => return Err(f.wrong("of", format!("is \"{other}\"; expected time or frequency"))),
        };
        let options = OffResonanceOptions::default().segments(segments).of(of);
        let linop = linop::off_resonance(&inner, (&field, &dims), (&times, &time_dims), options);
        renamed(checked(linop.map_err(|e| f.here(e))?, input, f)?, f)
    }

    pub(super) fn adjoint(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let inner = self.linop(wrapped(f)?, None, &f.child("linop"))?;
        renamed(checked(inner.h(), input, f)?, f)
    }

    pub(super) fn normal(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let inner = self.linop(wrapped(f)?, input.as_ref(), &f.child("linop"))?;
        renamed(checked(inner.n(), input, f)?, f)
    }
}

/// The linop inside.
fn wrapped<'a>(f: &Fields<'a>) -> Result<&'a Value> {
    f.get("linop").ok_or_else(|| f.wrong("linop", "is missing; expected a linop"))
}

/// The container with its settings, under the names of `out`.
fn threaded(linop: Linop, f: &mut Fields) -> Result<Linop> {
    renamed(linop.with_settings(settings(f)?), f)
}

/// The linop, if its input is what `in` or the surroundings say.
fn checked(linop: Linop, input: Option<Shape>, f: &Fields) -> Result<Linop> {
    linop.check().map_err(|e| f.here(e))?;
    if let Some(want) = input {
        want.expect(linop.input()?).map_err(|e| f.at("in", e))?;
    }
    Ok(linop)
}

fn settings(f: &Fields) -> Result<ThreadSettings> {
    let num_workers = f.count("num_workers")?;
    if num_workers == Some(0) {
        return Err(f.wrong("num_workers", "is 0; expected at least 1, or null for one for each linop"));
    }
    Ok(ThreadSettings { threaded: f.flag("threaded", true)?, num_workers })
}
