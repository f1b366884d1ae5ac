//! What a linop file says of a linop, without JSON: each operator tells its own fields.

use super::{Linop, Node};
use crate::access::{Constant, ConstantData};
use crate::dim::{Dim, Shape, join};
use crate::error::{Error, Result, shape_err};
use crate::tensor::{HostArray, Tensor};
use ndarray::{ArcArray, ArrayD, IxDyn};
use num_complex::Complex32;

/// A linop as its file has it: names and values of its fields, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// The fields, `op` first.
    pub fields: Vec<(String, SavedValue)>,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SavedValue {
    /// What stands for a default inside of a list.
    Null,
    /// True or false.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Any number.
    Number(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<SavedValue>),
    /// Values by name, as by dim.
    Map(Vec<(String, SavedValue)>),
    /// An array.
    Array(SavedArray),
    /// A linop.
    Linop(Saved),
}

/// The array of a field, in C order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SavedArray {
    /// Real weights.
    Real(ArrayD<f32>),
    /// Complex weights.
    Complex(ArrayD<Complex32>),
    /// Coordinates.
    Coordinates(ArcArray<f64, IxDyn>),
    /// Indices.
    Indices(ArrayD<i64>),
    /// Zeros and ones.
    Mask(ArrayD<u8>),
}

impl From<bool> for SavedValue {
    fn from(v: bool) -> SavedValue {
        SavedValue::Flag(v)
    }
}

impl From<i64> for SavedValue {
    fn from(v: i64) -> SavedValue {
        SavedValue::Integer(v)
    }
}

impl From<usize> for SavedValue {
    fn from(v: usize) -> SavedValue {
        SavedValue::Integer(i64::try_from(v).unwrap_or(i64::MAX))
    }
}

impl From<f64> for SavedValue {
    fn from(v: f64) -> SavedValue {
        SavedValue::Number(v)
    }
}

impl From<&str> for SavedValue {
    fn from(v: &str) -> SavedValue {
        SavedValue::Text(v.into())
    }
}

impl From<String> for SavedValue {
    fn from(v: String) -> SavedValue {
        SavedValue::Text(v)
    }
}

impl From<SavedArray> for SavedValue {
    fn from(v: SavedArray) -> SavedValue {
        SavedValue::Array(v)
    }
}

impl From<Vec<SavedValue>> for SavedValue {
    fn from(v: Vec<SavedValue>) -> SavedValue {
        SavedValue::List(v)
    }
}

impl From<Complex32> for SavedValue {
    /// A number where nothing is imaginary, else `[re, im]`.
    fn from(v: Complex32) -> SavedValue {
        match v.im.to_bits() {
            0 => SavedValue::Number(v.re.into()),
            _ => vec![f64::from(v.re).into(), f64::from(v.im).into()].into(),
        }
    }
}

impl SavedArray {
    /// Coordinates of these extents.
    pub(crate) fn coordinates(extents: Vec<usize>, values: Vec<f64>) -> Result<SavedArray> {
        let array = ArrayD::from_shape_vec(extents, values).map_err(|e| Error::Shape(e.to_string()))?;
        Ok(SavedArray::Coordinates(array.into_shared()))
    }

    /// The values of a host tensor.
    pub(crate) fn of_tensor(t: &Tensor) -> Result<SavedArray> {
        match t.host_array() {
            Some(HostArray::F32(a)) => Ok(SavedArray::Real(a.to_owned())),
            Some(HostArray::Complex32(a)) => Ok(SavedArray::Complex(a.to_owned())),
            None => shape_err!("a constant on {} is not saved; move it to the host", t.device_name()),
        }
    }

    /// The values of a constant, repeated along the axes that it lacks: `kept` says which of `extents` it has.
    pub(crate) fn of_constant(c: &Constant, extents: &[usize], kept: &[usize]) -> Result<SavedArray> {
        let strides = crate::access::c_strides(c.extents());
        let own: Vec<i64> =
            (0..extents.len()).map(|a| kept.iter().position(|&k| k == a).map_or(0, |k| strides[k])).collect();
        let at = |i: IxDyn| (0..extents.len()).map(|a| i[a] * own[a] as usize).sum::<usize>();
        Ok(match c.data() {
            ConstantData::F32(_) => SavedArray::Real(ArrayD::from_shape_fn(extents, |i| c.get(at(i)).re)),
            ConstantData::C32(_) => SavedArray::Complex(ArrayD::from_shape_fn(extents, |i| c.get(at(i)))),
            ConstantData::Stacked(_) => return shape_err!("constants that are stacked by a plan are not saved"),
        })
    }

    /// Weights as a tensor.
    pub(crate) fn tensor(&self, shape: Shape) -> Result<Tensor> {
        match self {
            SavedArray::Real(a) => Tensor::from_host(shape, HostArray::F32(a.to_shared())),
            SavedArray::Complex(a) => Tensor::from_host(shape, HostArray::Complex32(a.to_shared())),
            _ => shape_err!("coordinates and indices are no weights"),
        }
    }
}

/// Takes the fields of one linop. Dims are told by axis: what they are called is said by the linop around the operator, which
/// may have been renamed.
pub struct Saver<'a> {
    input: &'a Shape,
    output: &'a Shape,
    fields: Vec<(String, SavedValue)>,
    own_input: Option<Shape>,
    names: Names,
    says_input: bool,
    instead: Option<Linop>,
}

/// How the output gets its names.
enum Names {
    /// By a field `out`.
    Renamed,
    /// By the op, where that is wanted; else by a field `out`.
    Made(Shape),
    /// By fields of the op: others only by a linop around it.
    Fixed(Shape),
}

impl<'a> Saver<'a> {
    /// Dims and extents of x.
    pub fn input(&self) -> &'a Shape {
        self.input
    }

    /// Dims and extents of y.
    pub fn output(&self) -> &'a Shape {
        self.output
    }

    /// A field.
    pub fn field(&mut self, name: &str, value: impl Into<SavedValue>) {
        self.fields.push((name.into(), value.into()));
    }

    /// A field that is left out where it has its default.
    pub fn unless<T: PartialEq + Into<SavedValue>>(&mut self, name: &str, value: T, default: T) {
        if value != default {
            self.field(name, value);
        }
    }

    /// A list of input dims, by their axes.
    pub fn dims(&mut self, name: &str, axes: &[usize]) {
        let dims = axes.iter().map(|&a| self.input.dims()[a].to_string().into()).collect::<Vec<_>>();
        self.field(name, dims);
    }

    /// A map keyed by input dims, by their axes.
    pub fn by_dim<V: Into<SavedValue>>(&mut self, name: &str, values: impl IntoIterator<Item = (usize, V)>) {
        let dims = self.input.dims();
        let map = values.into_iter().map(|(a, v)| (dims[a].to_string(), v.into())).collect();
        self.field(name, SavedValue::Map(map));
    }

    /// Extents keyed by dims.
    pub fn extents(&mut self, name: &str, shape: &Shape) {
        let map = shape.iter().map(|(d, n)| (d.to_string(), n.into())).collect();
        self.field(name, SavedValue::Map(map));
    }

    /// Linops inside; `given` is the input that the loader takes for each if it states none.
    ///
    /// # Errors
    /// One of them cannot be saved.
    pub fn linops(&mut self, linops: &[Linop], given: impl Fn(usize) -> Option<Shape>) -> Result<()> {
        let one = |(i, l): (usize, &Linop)| -> Result<SavedValue> {
            let saved = l.saved_in(given(i).as_ref()).map_err(|e| e.at(format!("linops[{i}]")))?;
            Ok(SavedValue::Linop(saved))
        };
        let all = linops.iter().enumerate().map(one).collect::<Result<Vec<_>>>()?;
        self.field("linops", all);
        Ok(())
    }

    /// The linop inside, as the field `linop`.
    ///
    /// # Errors
    /// It cannot be saved.
    pub fn linop(&mut self, linop: &Linop, given: Option<&Shape>) -> Result<()> {
        self.linop_as("linop", linop, given)
    }

    /// A linop inside, as a field of another name.
    ///
    /// # Errors
    /// It cannot be saved.
    pub fn linop_as(&mut self, name: &str, linop: &Linop, given: Option<&Shape>) -> Result<()> {
        let saved = linop.saved_in(given).map_err(|e| e.at(name))?;
        self.field(name, SavedValue::Linop(saved));
        Ok(())
    }

    /// What the output is called without a field `out`, so that it is written only where it says something else.
    pub fn makes(&mut self, output: Shape) {
        self.names = Names::Made(output);
    }

    /// The output as the fields name it, where a field `out` of another meaning is among them: another name is given by a
    /// chain around this linop.
    pub fn names(&mut self, output: Shape) {
        self.names = Names::Fixed(output);
    }

    /// For containers, whose dims are those of the linops inside: input and output as these make them.
    pub fn within(&mut self, input: Shape, output: Shape) {
        self.own_input = Some(input);
        self.makes(output);
    }

    /// Leaves `in` out: the linop inside says it.
    pub fn says_input(&mut self) {
        self.says_input = true;
    }

    /// Saves another linop instead, of the same input, that computes the same.
    pub fn instead(&mut self, linop: Linop) {
        self.instead = Some(linop);
    }

    /// Names for the dims of the output: those at the positions `new` are new ones, called as the output has them if that is
    /// free; the others are the axes of the input in this order.
    pub fn with_new(&self, order: &[usize], new: &[usize]) -> Vec<Dim> {
        let wanted: Vec<Dim> = new.iter().map(|&k| self.output.dims()[k]).collect();
        let mut names: Vec<Dim> = order.iter().map(|&a| self.input.dims()[a]).collect();
        // In rising order every place is there by the time that it is needed.
        for (&k, d) in new.iter().zip(self.unused(&wanted)) {
            names.insert(k.min(names.len()), d);
        }
        names
    }

    /// Names for dims that are none of the input's: those wanted, where they are free, else others.
    pub fn unused(&self, wanted: &[Dim]) -> Vec<Dim> {
        let mut used = self.input.dims().to_vec();
        let free = |d: &Dim, used: &mut Vec<Dim>| {
            let d = if used.contains(d) { d.next_unused(&[used.as_slice(), wanted].concat()) } else { *d };
            used.push(d);
            d
        };
        wanted.iter().map(|d| free(d, &mut used)).collect()
    }
}

/// A list of texts for dims, as a linop file writes it: `"C Ny Nx"`.
fn text(dims: &[Dim]) -> SavedValue {
    join(dims).into()
}

/// A shape as a linop file writes it.
pub(crate) fn shape_text(shape: &Shape) -> String {
    if shape.rank() == 0 { String::new() } else { shape.to_string() }
}

impl Saved {
    fn of(op: &str, fields: Vec<(String, SavedValue)>) -> Saved {
        let op = ("op".to_string(), op.into());
        Saved { fields: std::iter::once(op).chain(fields).collect() }
    }
}

impl Linop {
    /// What a linop file says of this linop; with the feature `io`, `Linop::to_json` writes it. Reading
    /// it makes the same linop: equal results, bit for bit, names, settings, and the same tree.
    ///
    /// Where the format has no field for what was done (the input of a container renamed, dims that a `dense` makes renamed
    /// afterwards) there are two adjoints or a chain of one around it.
    ///
    /// # Errors
    /// The linop carries an error, or holds an operator of a user's own that does not say how it is saved
    /// ([`Operator::saved`](super::Operator::saved)).
    pub fn saved(&self) -> Result<Saved> {
        self.saved_in(None)
    }

    /// The same where the surroundings imply an input.
    fn saved_in(&self, given: Option<&Shape>) -> Result<Saved> {
        let node = self.node()?;
        let op = node.operator.op();
        let (input, output) = (&node.input, &node.output);
        let mut to = Saver {
            input,
            output,
            fields: Vec::new(),
            own_input: None,
            names: Names::Renamed,
            says_input: false,
            instead: None,
        };
        node.operator.saved(&mut to).map_err(|e| e.at(self.label()))?;
        if let Some(other) = to.instead {
            return other.out(join(output.dims()))?.rebuilt(|n| Node { name: node.name.clone(), ..n }).saved_in(given);
        }
        let own_input = to.own_input.as_ref().unwrap_or(input);
        let turned = own_input != input;
        let (named, fixed) = match &to.names {
            Names::Renamed => (None, false),
            Names::Made(shape) => (Some(shape), false),
            Names::Fixed(shape) => (Some(shape), true),
        };
        if let Some(wrong) = named.filter(|shape| shape.extents() != output.extents()) {
            return shape_err!(
                "{}: the fields that are saved make the output {wrong}, the linop says {output}",
                self.label()
            );
        }
        let renamed = named != Some(output);
        let mut fields = Vec::new();
        let stated = !to.says_input && (turned || fixed && renamed || given != Some(own_input));
        if stated {
            fields.push(("in".to_string(), shape_text(own_input).into()));
        }
        fields.extend(to.fields);
        let out = ("out".to_string(), text(output.dims()));
        if renamed && !fixed && !turned {
            fields.push(out.clone());
        }
        if let Some(name) = &node.name {
            fields.push(("name".into(), name.as_str().into()));
        }
        let mut saved = Saved::of(op, fields);
        if turned {
            // The adjoint of an adjoint is the linop itself, with the dims that it has by then.
            let back = vec![("linop".into(), SavedValue::Linop(saved)), ("out".into(), text(input.dims()))];
            saved = Saved::of("adjoint", vec![("linop".into(), SavedValue::Linop(Saved::of("adjoint", back)))]);
            if renamed && !fixed {
                saved.fields.push(out.clone());
            }
        }
        if renamed && fixed {
            saved = Saved::of("chain", vec![("linops".into(), vec![SavedValue::Linop(saved)].into()), out]);
        }
        Ok(saved)
    }
}

/// The error of an operator that does not say how it is saved.
pub(super) fn unsaved(op: &str) -> Error {
    Error::Value(format!(
        "an operator {op} that does not say how it is saved; only linops that files have can be, by Operator::saved"
    ))
}
