//! Permuting, merging and splitting dims.

use super::{Linop, Operator, Saver};
use crate::access::ValueId;
use crate::dim::{Dim, Shape, ToDims, ToShape, join, parse_dims};
use crate::error::{Result, shape_err};
use crate::ir::Builder;
use std::collections::BTreeMap;

/// Rearranges by a pattern: `"A B C -> (A B) C"` merges, `"(A B) C -> A B C"` with `sizes` `"A=4"` splits. The left side
/// matches the input by position; a merged dim is called by its joined names, to be renamed with [`Linop::out`].
///
/// The adjoint is the pattern turned round, the normal the identity. An index map: what follows reads x by it, without a pass
/// of its own. [Splits](Linop::split) along dims that stay, and others whose entries lie together on the other side: the first
/// ones of those that are merged.
///
/// ```
/// let r = linops::linop::rearrange("T=6 C=4", "(A B) C -> B (C A)", "A=2")?.out("B M")?;
/// assert_eq!(r.output()?.to_string(), "B=3 M=8");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A pattern that does not parse, sides that name different dims, an extent that a split does not divide.
pub fn rearrange(input: impl ToShape, pattern: &str, sizes: impl ToShape) -> Result<Linop> {
    let (input, sizes) = (input.to_shape()?, sizes.to_shape()?);
    let Some((left, right)) = pattern.split_once("->") else {
        return shape_err!("rearrange: \"{pattern}\" has no ->; expected a form like \"A B C -> (A B) C\"");
    };
    let (left, right) = (groups(left, pattern)?, groups(right, pattern)?);
    if left.len() != input.rank() {
        return shape_err!(
            "rearrange: the left side of \"{pattern}\" has {} dims, the input {input} has {}",
            left.len(),
            input.rank()
        );
    }
    let flat = |side: &[Vec<Dim>]| side.concat();
    let (from, to) = (flat(&left), flat(&right));
    for side in [&from, &to] {
        if let Some((_, d)) = side.iter().enumerate().find(|(i, d)| side[..*i].contains(d)) {
            return shape_err!("rearrange: dim {d} stands twice on one side of \"{pattern}\"");
        }
    }
    if let Some(d) = from.iter().find(|d| !to.contains(d)).or(to.iter().find(|d| !from.contains(d))) {
        return shape_err!(
            "rearrange: dim {d} stands on one side of \"{pattern}\" only; use sum or repeat to change dims"
        );
    }
    if let Some(d) = sizes.dims().iter().find(|d| !from.contains(d)) {
        return shape_err!("rearrange: \"sizes\" names {d}, which is not in \"{pattern}\"");
    }
    let mut extent: BTreeMap<Dim, usize> = sizes.iter().collect();
    for (group, n) in left.iter().zip(input.extents()) {
        solve(group, *n, &mut extent, pattern)?;
    }
    let size = |d: &Dim| extent.get(d).copied().unwrap_or(1);
    let name = |g: &Vec<Dim>| match &g[..] {
        [one] => Ok(*one),
        many => many.iter().map(Dim::to_string).collect::<String>().parse(),
    };
    let dims = right.iter().map(name).collect::<Result<_>>()?;
    let output = Shape::new(dims, right.iter().map(|g| g.iter().map(size).product()).collect())?;
    let operator = Rearrange {
        split: from.iter().map(size).collect(),
        order: to.iter().filter_map(|d| from.iter().position(|f| f == d)).collect(),
        made: output.clone(),
        sizes,
        pattern: pattern.to_string(),
    };
    Ok(Linop::of(input, output, operator))
}

/// The dims in the order of `order`, which names each of them.
///
/// The adjoint is the order turned round, the normal the identity. An index map, without a pass of its own.
/// [Splits](Linop::split) along every dim.
///
/// ```
/// let t = linops::linop::transpose("C=8 Ny=4 Nx=6", "Nx C Ny")?;
/// assert_eq!(t.output()?.to_string(), "Nx=6 C=8 Ny=4");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// `order` lacks a dim of the input, or names another.
#[doc(alias = "permute")]
#[doc(alias = "swapaxes")]
pub fn transpose(input: impl ToShape, order: &str) -> Result<Linop> {
    let input = input.to_shape()?;
    rearrange(&input, &format!("{} -> {order}", join(input.dims())), "").map_err(|e| e.at("transpose"))
}

/// Moves the dims in `axes` so that they stand from position `to` of the output on, in the order given; the others keep theirs.
///
/// It is [`transpose`] otherwise: adjoint, normal, cost, and the dims along which it splits.
///
/// ```
/// let t = linops::linop::moveaxis("C=8 Ny=4 Nx=6", "C", 2)?;
/// assert_eq!(t.output()?.to_string(), "Ny=4 Nx=6 C=8");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim is not in the input or stands twice, or they would reach beyond the last position.
pub fn moveaxis(input: impl ToShape, axes: impl ToDims, to: usize) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("moveaxis"))?);
    let (input, moved) = (input.to_shape()?, parse_dims(axes)?);
    for d in &moved {
        input.require(*d).map_err(|e| e.at("moveaxis"))?;
    }
    let mut order: Vec<Dim> = input.dims().iter().filter(|d| !moved.contains(d)).copied().collect();
    if to > order.len() {
        return shape_err!("moveaxis: \"{axes}\" cannot begin at {to}; expected at most {} ({input})", order.len());
    }
    order.splice(to..to, moved);
    transpose(&input, &join(&order)).map_err(|e| e.at("moveaxis"))
}

/// The Casorati matrix of a series of images: the dims of `space` merged to one of the rows, those of `time` to one of the columns,
/// behind all other dims. Both are called by their joined names, to be renamed with [`Linop::out`].
///
/// Its rank is low where the pixels' courses are alike. Liang, IEEE Int. Symp. Biomed. Imaging 988 (2007).
///
/// The adjoint makes the images again, the normal is the identity. An index map, without a pass of its own.
/// [Splits](Linop::split) along rows, columns, the other dims, and the first one of each side.
///
/// ```
/// let m = linops::linop::casorati("T=20 Ny=4 Nx=6", "Ny Nx", "T")?;
/// assert_eq!(m.output()?.to_string(), "NyNx=24 T=20");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim is not in the input or stands twice, or a side names none.
pub fn casorati(input: impl ToShape, space: &str, time: &str) -> Result<Linop> {
    let input = input.to_shape()?;
    let merged = [parse_dims(space)?, parse_dims(time)?];
    for (side, dims) in ["space", "time"].iter().zip(&merged) {
        if dims.is_empty() {
            return shape_err!("casorati: \"{side}\" names no dim of {input}");
        }
        for d in dims {
            input.require(*d).map_err(|e| e.at("casorati"))?;
        }
    }
    let others: Vec<Dim> = input.dims().iter().filter(|d| !merged.concat().contains(d)).copied().collect();
    let pattern = format!("{} -> {} ({space}) ({time})", join(input.dims()), join(&others));
    rearrange(&input, &pattern, "").map_err(|e| e.at("casorati"))
}

/// The dims of one side, those in parentheses together.
fn groups(side: &str, pattern: &str) -> Result<Vec<Vec<Dim>>> {
    let spaced = side.replace('(', " ( ").replace(')', " ) ");
    let (mut out, mut open): (Vec<Vec<Dim>>, Option<Vec<Dim>>) = (Vec::new(), None);
    for token in spaced.split_whitespace() {
        match (token, &mut open) {
            ("(", None) => open = Some(Vec::new()),
            (")", Some(group)) if !group.is_empty() => {
                out.push(std::mem::take(group));
                open = None;
            }
            ("(" | ")", _) => return shape_err!("rearrange: the parentheses of \"{pattern}\" do not match"),
            (dim, Some(group)) => group.push(dim.parse()?),
            (dim, None) => out.push(vec![dim.parse()?]),
        }
    }
    match open {
        Some(_) => shape_err!("rearrange: the parentheses of \"{pattern}\" do not match"),
        None => Ok(out),
    }
}

/// Finds the one extent of a group that is not given.
fn solve(group: &[Dim], n: usize, extent: &mut BTreeMap<Dim, usize>, pattern: &str) -> Result<()> {
    let open: Vec<Dim> = group.iter().filter(|d| !extent.contains_key(d)).copied().collect();
    let known = group.iter().filter_map(|d| extent.get(d)).try_fold(1usize, |p, &e| p.checked_mul(e)).unwrap_or(0);
    match &open[..] {
        [] if known == n => Ok(()),
        [] => shape_err!("rearrange: ({}) of \"{pattern}\" has {known} values, the input has extent {n}", join(group)),
        [one] if known > 0 && n.is_multiple_of(known) => {
            extent.insert(*one, n / known);
            Ok(())
        }
        [one] => shape_err!("rearrange: extent {n} of ({}) is not divisible by {known} to give {one}", join(group)),
        more => shape_err!("rearrange: give the sizes of all but one of {} in \"{pattern}\"", join(more)),
    }
}

#[derive(Debug)]
struct Rearrange {
    split: Vec<usize>,
    order: Vec<usize>,
    /// The output under the pattern's names.
    made: Shape,
    sizes: Shape,
    pattern: String,
}

impl Operator for Rearrange {
    fn op(&self) -> &'static str {
        "rearrange"
    }

    fn details(&self) -> String {
        self.pattern.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let x = b.reshape(x, self.split.clone())?;
        let x = b.permute(x, &self.order)?;
        b.reshape(x, self.made.extents().to_vec())
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.field("pattern", self.pattern.as_str());
        if self.sizes.rank() > 0 {
            to.extents("sizes", &self.sizes);
        }
        to.makes(self.made.clone());
        Ok(())
    }
}
