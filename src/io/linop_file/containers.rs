//! Linops with linops inside.

use super::fields::Fields;
use super::op::{ARRAY, COUNT, EXTENTS, FLAG, FileField, FileOp, LINOPS, NAMES, NUMBER, must, open, or_else};
use super::{Loader, renamed};
use crate::dim::Shape;
use crate::error::Result;
use crate::ir::ThreadSettings;
use crate::linop::{self, Linop, OffResonanceOptions, Segmentation, Segments};
use serde_json::Value;

const THREADED: FileField =
    or_else("threaded", FLAG, "true", "whether linops may run at the same time; never changes a result");
const NUM_WORKERS: FileField = open(
    "num_workers",
    COUNT,
    "as many as there are linops",
    "linops in flight at once, at most; never changes a result",
);

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

    pub(super) const CHAIN: FileOp = FileOp {
        name: "chain",
        summary: "One linop after the other",
        forward: "y = A_k … A_1 x",
        fields: &[must("linops", LINOPS, "A_1 to A_k, in the order they are applied")],
        examples: &[r#"{ "op": "chain", "in": "N=4", "linops": [
  { "op": "fft", "axes": ["N"], "out": "K" },
  { "op": "diagonal", "weight": [1, 1, 0, 1], "dims": "K" } ] }"#],
        build: Loader::chain,
    };

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

    pub(super) const ADD: FileOp = FileOp {
        name: "add",
        summary: "Sums of linops",
        forward: "y = Σ w_i A_i x",
        fields: &[
            must("linops", LINOPS, "the A_i, of one input and one output"),
            open("weights", "list of numbers or [re, im]", "all 1", "the weights w_i, one for each of `linops`"),
            THREADED,
            NUM_WORKERS,
        ],
        examples: &[r#"{ "op": "add", "in": "N=4", "weights": [1, [0, 2]], "linops": [
  { "op": "identity" }, { "op": "flip", "axes": ["N"] } ] }"#],
        build: Loader::add,
    };

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

    pub(super) const CONCAT: FileOp = FileOp {
        name: "concat",
        summary: "Linops side by side along dims that they have",
        forward: "with `in_dim` alone y = Σ A_i x_i, x cut along that dim; with `out_dim` alone the outputs joined along that dim; with both a block diagonal",
        fields: &[
            must("linops", LINOPS, "the A_i; with `in_dim` they give their own `in`"),
            open("in_dim", "dim", "all take x", "the dim along which x is cut"),
            open("out_dim", "dim", "the sum", "the dim along which outputs are joined"),
            THREADED,
            NUM_WORKERS,
        ],
        examples: &[r#"{ "op": "concat", "in_dim": "N", "out_dim": "N", "linops": [
  { "op": "scalar", "in": "N=2", "value": 2 },
  { "op": "flip", "in": "N=3", "axes": ["N"] } ] }"#],
        build: Loader::concat,
    };

    pub(super) fn concat(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let (in_dim, out_dim) = (f.text("in_dim")?, f.text("out_dim")?);
        let linops = match in_dim {
            Some(_) => self.children(f, |_, _| Ok(None))?,
            None => self.siblings(f, &input)?,
        };
        let linop = linop::concat(linops, in_dim.as_deref(), out_dim.as_deref()).map_err(|e| f.here(e))?;
        threaded(checked(linop, input, f)?, f)
    }

    pub(super) const STACK: FileOp = FileOp {
        name: "stack",
        summary: "Linops side by side along new dims",
        forward: "as `concat`, along dims that the linops do not have",
        fields: &[
            must("linops", LINOPS, "the A_i, of one input and one output"),
            open("in_dim", "dim", "all take x", "the new dim along which x holds the x_i"),
            open("out_dim", "dim", "the sum", "the new dim along which y holds the outputs"),
            or_else("in_position", COUNT, "0", "the place of `in_dim` among the dims of x"),
            or_else("out_position", COUNT, "0", "the place of `out_dim` among the dims of y"),
            THREADED,
            NUM_WORKERS,
        ],
        examples: &[
            r#"{ "op": "stack", "in": "N=4", "out_dim": "D", "linops": [
  { "op": "identity" }, { "op": "roll", "shifts": { "N": 1 } } ] }"#,
            r#"{ "op": "stack", "in": "N=3 T=2", "in_dim": "T", "in_position": 1, "threaded": false,
  "num_workers": 1, "linops": [
  { "op": "scalar", "value": 2 }, { "op": "identity" } ] }"#,
        ],
        build: Loader::stack,
    };

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

    pub(super) const OVER: FileOp = FileOp {
        name: "over",
        summary: "The same linop for every index of dims in front",
        forward: "y_t = A x_t, as one batched plan that holds the weights of A once",
        fields: &[
            must("linop", "linop", "A, which has none of these dims"),
            open("sizes", EXTENTS, "all that `in` has in front of A's own", "the dims and their extents: `{\"T\": 8}`"),
        ],
        examples: &[r#"{ "op": "over", "sizes": { "T": 3 }, "linop": { "op": "fft", "in": "N=4", "axes": ["N"] } }"#],
        build: Loader::over,
    };

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

    pub(super) const KRON: FileOp = FileOp {
        name: "kron",
        summary: "Kronecker product: linops on dims of their own",
        forward: "y = (A_1 ⊗ … ⊗ A_k) x: each linop acts on its dims, over all others; x has the dims of their inputs one after the other, y those of their outputs",
        fields: &[must("linops", LINOPS, "A_1 to A_k; they give their own `in`")],
        examples: &[r#"{ "op": "kron", "linops": [
  { "op": "flip", "in": "T=3", "axes": ["T"] },
  { "op": "sum", "in": "C=2", "axes": ["C"] },
  { "op": "roll", "in": "N=4", "shifts": { "N": 1 } } ] }"#],
        build: Loader::kron,
    };

    pub(super) fn kron(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let linops = self.children(f, |_, _| Ok(None))?;
        renamed(checked(linop::kron(linops).map_err(|e| f.here(e))?, input, f)?, f)
    }

    pub(super) const OFF_RESONANCE: FileOp = FileOp {
        name: "off_resonance",
        summary: "A field map in the model of a scan, by segments",
        forward: "y_m = Σ_r a_mr exp(−2πi f_r t_m) x_r, where A has the entries a_mr, f is the field and t the times; the exponential is a sum of few products, so y = Σ_l b_l·A(c_l·x)",
        fields: &[
            must("linop", "linop", "the linop A of the scan without the field"),
            must("field", ARRAY, "the frequency offset f at each pixel, in Hz"),
            must("field_dims", NAMES, "the dims of the field's axes, which are dims of x: `\"Ny Nx\"`"),
            must("times", ARRAY, "t in seconds, from the moment without phase"),
            must("time_dims", NAMES, "the dims of the times' axes, which are dims of y: `\"S\"`"),
            open("segments", COUNT, "by `tol`", "how many products, 1 to 128"),
            or_else(
                "tol",
                NUMBER,
                "1e-3",
                "root-mean-square error of the exponential, from 2e-6 on; as few products as reach it. It goes without `segments`",
            ),
            or_else(
                "of",
                "\"time\" or \"frequency\"",
                "\"time\"",
                "what is cut into segments: the readout, or the field",
            ),
        ],
        examples: &[
            r#"{ "op": "off_resonance", "field": [-40, 0, 15, 60], "field_dims": "N",
  "times": [0, 0.002, 0.004, 0.006], "time_dims": "K",
  "linop": { "op": "fft", "in": "N=4", "axes": ["N"], "centered": true, "out": "K" } }"#,
            r#"{ "op": "off_resonance", "field": [[-40, 20], [0, 60]], "field_dims": "Ny Nx",
  "times": [0, 0.005, 0.01], "time_dims": "S",
  "segments": 5, "of": "frequency",
  "linop": { "op": "nufft", "in": "Ny=2 Nx=2", "locs": [[0, 0.5], [-1, 0], [0.25, 0.75]],
    "axes": ["Ny", "Nx"], "out": "S" } }"#,
        ],
        build: Loader::off_resonance,
    };

    pub(super) fn off_resonance(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let inner = self.linop(wrapped(f)?, input.as_ref(), &f.child("linop"))?;
        let field = self.wide(f, "field", "an array of frequencies in Hz")?;
        let times = self.wide(f, "times", "an array of times in seconds")?;
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

    pub(super) const ADJOINT: FileOp = FileOp {
        name: "adjoint",
        summary: "The adjoint of a linop",
        forward: "y = Aᴴx",
        fields: &[must("linop", "linop", "A; it gives its own `in`, unless its arrays do")],
        examples: &[r#"{ "op": "adjoint", "linop": { "op": "sum", "in": "C=2 N=3", "axes": ["C"] } }"#],
        build: Loader::adjoint,
    };

    pub(super) fn adjoint(&self, f: &mut Fields, input: Option<Shape>) -> Result<Linop> {
        let inner = self.linop(wrapped(f)?, None, &f.child("linop"))?;
        renamed(checked(inner.h(), input, f)?, f)
    }

    pub(super) const NORMAL: FileOp = FileOp {
        name: "normal",
        summary: "The normal of a linop",
        forward: "y = AᴴA x",
        fields: &[must("linop", "linop", "the linop A that is wrapped")],
        examples: &[r#"{ "op": "normal", "in": "N=4", "linop": { "op": "fft", "axes": ["N"] } }"#],
        build: Loader::normal,
    };

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
