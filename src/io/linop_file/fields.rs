//! The fields of one JSON object: typed, and none that its op does not describe.

use super::Place;
use super::nearest::{nearest, shown};
use super::op::FileOp;
use crate::error::{Error, Result};
use num_complex::Complex32;
use serde_json::{Map, Value};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// What `out` is, where it cannot be left out.
pub(super) const OUT: &str = "the names of the output's dims, as in \"C Ky Kx\"";

pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    place: &'a Place,
    /// What describes the fields, once it is known.
    op: Cell<Option<&'static FileOp>>,
    /// The fields that have been asked for.
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Fields<'a> {
    pub fn new(value: &'a Value, place: &'a Place) -> Result<Fields<'a>> {
        let at = if place.path.is_empty() { "the file" } else { place.path.as_str() };
        match value.as_object() {
            Some(map) => Ok(Fields { map, place, op: Cell::new(None), asked: RefCell::default() }),
            None => {
                Err(Error::Value(format!("{at} is {}; expected an object like {{\"op\": \"fft\", …}}", kind(value))))
            }
        }
    }

    /// Says whose fields these are.
    ///
    /// # Errors
    /// One of them is not a field of this op.
    pub fn describe(&self, op: &'static FileOp) -> Result<()> {
        self.op.set(Some(op));
        let Some(unknown) = self.map.keys().find(|k| op.field(k).is_none()) else { return Ok(()) };
        let known: Vec<&str> = op.all_fields().map(|f| f.name).collect();
        let meant = nearest(unknown, known.iter().copied()).map_or(String::new(), |k| format!(", perhaps \"{k}\""));
        let what = format!("is not a field of {}{meant}; there are {}", op.name, known.join(", "));
        Err(self.wrong(&shown(unknown), what))
    }

    /// # Errors
    /// A field is there that nobody has asked for: one that does not go with the others.
    pub fn expect_all_read(&self, op: &FileOp) -> Result<()> {
        let asked = self.asked.borrow();
        let unread = |(k, v): &(&String, &Value)| *k != "op" && !v.is_null() && !asked.contains(k.as_str());
        match self.map.iter().find(unread) {
            Some((k, _)) => Err(self.wrong(k, format!("is not a field of {} with these others", op.name))),
            None => Ok(()),
        }
    }

    /// What has been asked for.
    #[cfg(test)]
    pub fn asked(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }

    /// Whether it is the linop of the file, and none inside of it.
    pub fn is_outermost(&self) -> bool {
        self.place.path.is_empty()
    }

    /// An error at a field.
    pub fn wrong(&self, field: &str, message: impl Into<String>) -> Error {
        Error::Value(message.into()).at(self.place.field(field))
    }

    /// The error of a library call, with the place of a field in front.
    pub fn at(&self, field: &str, e: Error) -> Error {
        e.at(self.place.field(field))
    }

    /// The error of a constructor, with the place of the whole linop in front.
    pub fn here(&self, e: Error) -> Error {
        if self.place.path.is_empty() { e } else { e.at(self.place.path.clone()) }
    }

    pub fn child(&self, name: &str) -> Place {
        self.place.child(name)
    }

    /// A field's value; null counts as absent.
    pub fn get(&self, field: &str) -> Option<&'a Value> {
        if let Some(op) = self.op.get() {
            debug_assert!(
                op.field(field).is_some(),
                "{} reads the field {field}, which its description lacks",
                op.name
            );
            self.asked.borrow_mut().insert(field.to_string());
        }
        self.map.get(field).filter(|v| !v.is_null())
    }

    pub fn text(&self, field: &str) -> Result<Option<String>> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::String(s)) => Ok(Some(s.clone())),
            Some(v) => Err(self.wrong(field, format!("is {}; expected text", kind(v)))),
        }
    }

    /// A text that must be there; `expected` is for the message.
    pub fn need_text(&self, field: &str, expected: &str) -> Result<String> {
        self.text(field)?.ok_or_else(|| self.wrong(field, format!("is missing; expected {expected}")))
    }

    pub fn flag(&self, field: &str, default: bool) -> Result<bool> {
        match self.get(field) {
            None => Ok(default),
            Some(Value::Bool(b)) => Ok(*b),
            Some(v) => Err(self.wrong(field, format!("is {}; expected true or false", kind(v)))),
        }
    }

    pub fn count(&self, field: &str) -> Result<Option<usize>> {
        self.get(field).map(|v| self.whole(field, v, 0)).transpose()
    }

    /// A whole number, 1 or more.
    pub fn positive(&self, field: &str) -> Result<Option<usize>> {
        self.get(field).map(|v| self.whole(field, v, 1)).transpose()
    }

    fn whole(&self, field: &str, v: &Value, least: usize) -> Result<usize> {
        let n = v.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n >= least);
        n.ok_or_else(|| self.wrong(field, format!("is {v}; expected a whole number from {least} on")))
    }

    /// A finite number.
    pub fn number(&self, field: &str) -> Result<Option<f64>> {
        let one = |v: &Value| v.as_f64().filter(|x| x.is_finite());
        let wrong = |v: &Value| self.wrong(field, format!("is {v}; expected a finite number"));
        self.get(field).map(|v| one(v).ok_or_else(|| wrong(v))).transpose()
    }

    /// A number, or a list of them.
    pub fn numbers(&self, field: &str) -> Result<Option<Vec<f64>>> {
        let Some(Value::Array(list)) = self.get(field) else { return Ok(self.number(field)?.map(|x| vec![x])) };
        let numbers: Option<Vec<f64>> = list.iter().map(|v| v.as_f64().filter(|x| x.is_finite())).collect();
        numbers.map(Some).ok_or_else(|| self.wrong(field, "expected a finite number or a list of them"))
    }

    /// A list of dim names, joined by blanks.
    pub fn dims(&self, field: &str) -> Result<String> {
        let list = self
            .get(field)
            .ok_or_else(|| self.wrong(field, "is missing; expected a list of dims, as in [\"Ny\", \"Nx\"]"))?;
        let names = list.as_array().and_then(|l| l.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        match names {
            Some(n) if !n.is_empty() => Ok(n.join(" ")),
            _ => Err(self.wrong(field, "expected a list of dims, as in [\"Ny\", \"Nx\"]")),
        }
    }

    /// A list; empty ones and other values are errors.
    pub fn list(&self, field: &str) -> Result<&'a Vec<Value>> {
        match self.get(field) {
            Some(Value::Array(l)) if !l.is_empty() => Ok(l),
            Some(Value::Array(_)) => Err(self.wrong(field, "is empty; expected at least one linop")),
            Some(v) => Err(self.wrong(field, format!("is {}; expected a list", kind(v)))),
            None => Err(self.wrong(field, "is missing; expected a list of linops")),
        }
    }

    /// A map keyed by dim, in the file's order; None if it is absent.
    pub fn map(&self, field: &str) -> Result<Option<Vec<(&'a str, &'a Value)>>> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Object(m)) => Ok(Some(m.iter().map(|(k, v)| (k.as_str(), v)).collect())),
            Some(v) => {
                Err(self.wrong(field, format!("is {}; expected a map keyed by dim, as in {{\"Nx\": 8}}", kind(v))))
            }
        }
    }

    pub fn need_map(&self, field: &str) -> Result<Vec<(&'a str, &'a Value)>> {
        self.map(field)?.ok_or_else(|| self.wrong(field, "is missing; expected a map keyed by dim, as in {\"Nx\": 8}"))
    }

    /// A map of extents as a shape: `"Ny=8 Nx=9"`.
    pub fn extents(&self, field: &str) -> Result<Option<String>> {
        let Some(map) = self.map(field)? else { return Ok(None) };
        let one = |(d, v): (&str, &Value)| Ok(format!("{d}={}", self.whole(&format!("{field}.{d}"), v, 1)?));
        Ok(Some(map.into_iter().map(one).collect::<Result<Vec<_>>>()?.join(" ")))
    }

    pub fn need_extents(&self, field: &str) -> Result<String> {
        self.extents(field)?
            .ok_or_else(|| self.wrong(field, "is missing; expected extents keyed by dim, as in {\"Nx\": 320}"))
    }

    /// A map of whole numbers, negative ones too.
    pub fn integers(&self, field: &str) -> Result<Option<Vec<(&'a str, i64)>>> {
        let Some(map) = self.map(field)? else { return Ok(None) };
        let one = |(d, v): (&'a str, &Value)| match v.as_i64() {
            Some(n) => Ok((d, n)),
            None => Err(self.wrong(&format!("{field}.{d}"), format!("is {v}; expected a whole number"))),
        };
        map.into_iter().map(one).collect::<Result<_>>().map(Some)
    }

    /// A number, or `[re, im]`.
    pub fn complex(&self, field: &str, v: &Value) -> Result<Complex32> {
        let number = |v: &Value| v.as_f64().map(|x| x as f32).filter(|x| x.is_finite());
        let c = match v {
            Value::Array(a) if a.len() == 2 => number(&a[0]).zip(number(&a[1])).map(|(re, im)| Complex32::new(re, im)),
            v => number(v).map(|re| Complex32::new(re, 0.0)),
        };
        c.ok_or_else(|| self.wrong(field, format!("is {v}; expected a finite number or [re, im]")))
    }
}

/// What a JSON value is, in words.
pub(super) fn kind(v: &Value) -> &'static str {
    match v {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
