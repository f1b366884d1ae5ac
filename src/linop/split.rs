//! Any linop as tiles: parts of it that make a part of the output, or take a part of the input, each from no more than it needs.
//!
//! Nothing here knows kinds of linops: the program of a tile is made of the program of the whole, node by node
//! (`ir/narrow.rs`). A linop of one's own can be split like any other.

use super::{Linop, Operator, Saver, add, chain, concat, slice};
use crate::access::ValueId;
use crate::dim::{Dim, Shape};
use crate::error::{Error, Result, shape_err, value_err};
use crate::ir::{Builder, Part, Program};
use std::ops::Range;
use std::sync::Arc;

/// Where a dim is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// Into so many tiles, as equal as can be; the first ones are the longer ones.
    Tiles(usize),
    /// Into tiles of so many entries; the last one may have fewer.
    Chunks(usize),
    /// At these entries, which begin a tile each: `[10, 25]` gives 0..10, 10..25 and 25 to the end.
    At(Vec<usize>),
}

/// How a linop is cut into tiles: dim by dim, each tile of a level cut further by the next.
///
/// ```
/// use linops::linop::{self, Tiling};
/// let a = linop::fft("C=8 Z=20 Y=64 X=64", "Y X", Default::default())?.out("C Z Ky Kx")?;
/// let tiled = a.tiled(&Tiling::tiles("C", 4).then(Tiling::chunks("Z", 8)))?;
/// assert_eq!((tiled.children().len(), tiled.children()[0].children().len()), (4, 3));
/// assert_eq!(tiled.output()?, a.output()?);
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiling {
    levels: Vec<(String, Cut)>,
}

impl Tiling {
    /// Along a dim, by a cut.
    pub fn new(dim: impl Into<String>, cut: Cut) -> Tiling {
        Tiling { levels: vec![(dim.into(), cut)] }
    }

    /// So many tiles along a dim.
    pub fn tiles(dim: impl Into<String>, tiles: usize) -> Tiling {
        Tiling::new(dim, Cut::Tiles(tiles))
    }

    /// Tiles of so many entries along a dim.
    pub fn chunks(dim: impl Into<String>, entries: usize) -> Tiling {
        Tiling::new(dim, Cut::Chunks(entries))
    }

    /// Tiles that begin at 0 and at these entries of a dim.
    pub fn at(dim: impl Into<String>, starts: &[usize]) -> Tiling {
        Tiling::new(dim, Cut::At(starts.to_vec()))
    }

    /// Each tile cut further.
    pub fn then(mut self, inner: Tiling) -> Tiling {
        self.levels.extend(inner.levels);
        self
    }

    /// The levels, outermost first; none leaves a linop whole.
    pub fn levels(&self) -> &[(String, Cut)] {
        &self.levels
    }

    pub(crate) fn rest(&self) -> Tiling {
        Tiling { levels: self.levels.get(1..).unwrap_or_default().to_vec() }
    }
}

impl std::fmt::Display for Tiling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.levels.is_empty() {
            return f.write_str("whole");
        }
        for (k, (dim, cut)) in self.levels.iter().enumerate() {
            let comma = if k > 0 { ", each " } else { "" };
            match cut {
                Cut::Tiles(n) => write!(f, "{comma}{dim} in {n} tiles")?,
                Cut::Chunks(n) => write!(f, "{comma}{dim} by {n}")?,
                Cut::At(starts) => write!(f, "{comma}{dim} at {starts:?}")?,
            }
        }
        Ok(())
    }
}

impl Cut {
    /// The tiles of a dim.
    fn ranges(&self, dim: Dim, extent: usize) -> Result<Vec<Range<usize>>> {
        let starts: Vec<usize> = match self {
            Cut::Tiles(tiles) => {
                if *tiles == 0 || *tiles > extent {
                    return shape_err!("dim {dim} of extent {extent} in {tiles} tiles; expected 1 to {extent}");
                }
                let (each, more) = (extent / tiles, extent % tiles);
                (0..*tiles).map(|t| t * each + t.min(more)).collect()
            }
            Cut::Chunks(0) => return shape_err!("dim {dim} in tiles of 0 entries; expected at least 1"),
            Cut::Chunks(entries) => (0..extent).step_by(*entries).collect(),
            Cut::At(starts) => {
                let rises = starts.windows(2).all(|w| w[0] < w[1]);
                if !rises || starts.last().is_some_and(|s| *s >= extent) {
                    return shape_err!("dim {dim} at {starts:?}; expected rising entries below its extent {extent}");
                }
                let zero = (starts.first() != Some(&0)).then_some(0);
                zero.into_iter().chain(starts.iter().copied()).collect()
            }
        };
        Ok(between(starts, extent))
    }
}

/// From each start to the next, and from the last to the end.
fn between(starts: impl IntoIterator<Item = usize>, end: usize) -> Vec<Range<usize>> {
    let starts: Vec<usize> = starts.into_iter().collect();
    let ends = starts.iter().skip(1).copied().chain([end]);
    starts.iter().copied().zip(ends).map(|(s, e)| s..e).collect()
}

/// Whether a linop can be split along a dim.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Splits {
    /// Parts need nothing of each other.
    Alone,
    /// Parts read, or add to, entries of their neighbours, too.
    WithNeighbours,
    /// It cannot, for this reason.
    Not(String),
}

/// Entries of one axis of a tensor; None is all of it.
pub(crate) type Piece = Option<(usize, Range<usize>)>;

/// One tile: y[writes] += A x[reads].
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    pub linop: Linop,
    pub reads: Piece,
    pub writes: Piece,
}

/// The tiles of a linop along one dim. Each is made when it is asked for, and holds its weights as long as it is held: of many
/// tiles there need be only one at a time.
#[derive(Clone, Debug)]
pub(crate) struct Tiles {
    pub output: Shape,
    input: Shape,
    /// Whether the tiles cut the output, so that no two of them write the same entry; else they cut the input.
    joined: bool,
    /// What is cut: it, or where `normal` its normal.
    whole: Linop,
    /// Its program, or that of its adjoint: the one whose output is cut.
    program: Arc<Program>,
    axis: usize,
    ranges: Vec<Range<usize>>,
    normal: bool,
}

/// Tiles of which it is known at once whether they can be made.
const LOOKED_AT: usize = 512;

/// The side of a linop that is cut: a dim may be on several, with an extent of its own on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Output,
    Input,
    /// The output of the linop of which it is the normal: the sum of the normals of its parts.
    Inside,
}

/// Where a dim is on a side.
#[derive(Clone, Copy, Debug)]
struct Site {
    side: Side,
    axis: usize,
    extent: usize,
}

impl Linop {
    /// Where a dim can be cut, in the order in which it is tried.
    ///
    /// # Errors
    /// The dim is on no side.
    fn sites(&self, dim: &str) -> Result<Vec<Site>> {
        let (name, inside) = (dim.parse::<Dim>()?, self.inside_normal());
        let of =
            |side: Side, shape: &Shape| shape.axis(name).map(|axis| Site { side, axis, extent: shape.extents()[axis] });
        let inside = inside.map(|a| a.output()).transpose()?.and_then(|shape| of(Side::Inside, shape));
        let own = [of(Side::Output, self.output()?), of(Side::Input, self.input()?)];
        let sites: Vec<Site> = own.into_iter().flatten().chain(inside).collect();
        if sites.is_empty() {
            self.size(dim)?;
        }
        Ok(sites)
    }

    /// Dims along which it may be cut, each once, with the largest extent that each has: those of the output, of the input, and of
    /// what a normal is of.
    pub(crate) fn cut_dims(&self) -> Result<Vec<(Dim, usize)>> {
        let inside = self.inside_normal().map(Linop::output).transpose()?;
        let mut dims: Vec<Dim> = Vec::new();
        for shape in [Some(self.output()?), Some(self.input()?), inside].into_iter().flatten() {
            dims.extend(shape.dims().iter().filter(|d| !dims.contains(d)).copied().collect::<Vec<_>>());
        }
        let largest = |dim: Dim| Ok(self.sites(&dim.to_string())?.iter().map(|s| s.extent).max().unwrap_or(0));
        dims.into_iter().map(|dim| Ok((dim, largest(dim)?))).collect()
    }
}

impl Tiles {
    /// A linop along a dim of its output, or else of its input, or else of what it is the normal of: the first of which the cut can
    /// be made.
    ///
    /// # Errors
    /// It has no such dim, the cut does not fit it, or something in the linop cannot be split along it.
    pub fn of(a: &Linop, dim: &str, cut: &Cut) -> Result<Tiles> {
        Tiles::along(a, dim, |name, extent| cut.ranges(name, extent))
    }

    fn along(a: &Linop, dim: &str, ranges: impl Fn(Dim, usize) -> Result<Vec<Range<usize>>>) -> Result<Tiles> {
        let at = |e: Error| e.at(format!("{} along {dim}", a.label()));
        let (sites, name) = (a.sites(dim)?, dim.parse::<Dim>()?);
        let mut refused: Option<Error> = None;
        for site in sites {
            match ranges(name, site.extent).and_then(|ranges| Tiles::at(a, &site, ranges)) {
                Ok(tiles) => return Ok(tiles),
                // What is said is why the first one cannot be cut.
                Err(e) => refused = refused.or(Some(e)),
            }
        }
        Err(at(refused.unwrap_or_else(|| Error::Shape(format!("there is no dim {dim}")))))
    }

    fn at(a: &Linop, site: &Site, ranges: Vec<Range<usize>>) -> Result<Tiles> {
        match site.side {
            Side::Output => Tiles::writing(a, site.axis, ranges),
            Side::Input => Tiles::reading(a, site.axis, ranges),
            Side::Inside => {
                let Some(inner) = a.inside_normal() else { return shape_err!("{} is no normal", a.label()) };
                Tiles::writing(inner, site.axis, ranges)?.normals(a.input()?)
            }
        }
    }

    /// The tiles of the normal: the sum of the normals of parts of the output.
    fn normals(self, input: &Shape) -> Result<Tiles> {
        Ok(Tiles { output: input.clone(), input: input.clone(), joined: false, normal: true, ..self })
    }

    /// Tiles that make parts of the output.
    fn writing(a: &Linop, axis: usize, ranges: Vec<Range<usize>>) -> Result<Tiles> {
        Tiles::cut(a, a.program()?, axis, ranges, true)
    }

    /// Tiles that take parts of the input: those of the adjoint's output.
    fn reading(a: &Linop, axis: usize, ranges: Vec<Range<usize>>) -> Result<Tiles> {
        Tiles::cut(a, Arc::new(a.program()?.transpose()?.simplify()?), axis, ranges, false)
    }

    fn cut(a: &Linop, program: Arc<Program>, axis: usize, ranges: Vec<Range<usize>>, joined: bool) -> Result<Tiles> {
        let extent = program.output_extents().get(axis).copied().unwrap_or(0);
        if let Some(range) = ranges.iter().find(|r| r.is_empty() || r.end > extent) {
            return shape_err!("entries {range:?} of a dim of extent {extent}; expected some, all of them below it");
        }
        // Whether they can be made is known before one is; none of them stays. Of very many some are looked at: what one of the
        // others lacks is said when it is made.
        let looked = ranges.len().min(LOOKED_AT);
        let at = |k: usize| k * (ranges.len() - 1) / (looked - 1).max(1);
        (0..looked).try_for_each(|k| program.narrowed(axis, &ranges[at(k)]).map(drop))?;
        let (input, output) = (a.input()?.clone(), a.output()?.clone());
        Ok(Tiles { output, input, joined, whole: a.clone(), program, axis, ranges, normal: false })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ranges.len()
    }

    /// A tile, made now.
    ///
    /// # Errors
    /// There is no such tile, or no memory for its weights.
    pub fn tile(&self, k: usize) -> Result<Tile> {
        let (a, Some(range)) = (&self.whole, self.ranges.get(k)) else {
            return shape_err!("tile {k} of {}", self.ranges.len());
        };
        let (part_of, program) = self.program.narrowed(self.axis, range)?;
        let (own, other) = (Some((self.axis, range.clone())), piece(part_of));
        let (reads, writes) = if self.joined || self.normal { (other, own) } else { (own, other) };
        let program = if self.joined || self.normal { program } else { program.transpose()? };
        let cut = if self.joined || self.normal { a.output()? } else { a.input()? };
        let (x, y) = (narrowed(a.input()?, &reads)?, narrowed(a.output()?, &writes)?);
        let linop = part(a, program.simplify()?, x, y, (cut.dims()[self.axis], range))?;
        Ok(match self.normal {
            true => Tile { linop: linop.n(), writes: reads.clone(), reads },
            false => Tile { linop, reads, writes },
        })
    }

    /// All of them.
    fn every(&self) -> Result<Vec<Tile>> {
        (0..self.count()).map(|k| self.tile(k)).collect()
    }

    /// Whether tiles overlap, where they read or where they write.
    fn kind(&self) -> Result<Splits> {
        let tiles = self.every()?;
        let overlaps = |of: fn(&Tile) -> &Piece| {
            tiles.windows(2).any(|w| match (of(&w[0]), of(&w[1])) {
                (Some((a, r)), Some((b, s))) => a == b && r.end > s.start && s.end > r.start,
                _ => false,
            })
        };
        // A whole read along a dim that is written in parts: each needs all.
        let turns = tiles.len() > 1
            && tiles.iter().any(|t| match (&t.reads, &t.writes) {
                (None, Some((a, _))) => self.input.axis(self.output.dims()[*a]).is_some(),
                (Some((a, _)), None) => self.output.axis(self.input.dims()[*a]).is_some(),
                _ => false,
            });
        Ok(match turns || overlaps(|t| &t.reads) || overlaps(|t| &t.writes) {
            true => Splits::WithNeighbours,
            false => Splits::Alone,
        })
    }

    /// The container of the tiles, each of them cut further.
    pub fn linop(&self, inner: &Tiling) -> Result<Linop> {
        let own = self.every()?;
        let tiles = own.iter().map(|t| t.linop.tiled(inner)).collect::<Result<Vec<_>>>()?;
        let dim = |shape: &Shape, piece: &Piece| piece.as_ref().map(|(a, _)| shape.dims()[*a].to_string());
        let first = &own[0];
        let (reads, writes) = (dim(&self.input, &first.reads), dim(&self.output, &first.writes));
        let in_order = |of: fn(&Tile) -> &Piece, shape: &Shape| consecutive(own.iter().map(of), shape);
        let (fed, joined) = (in_order(|t| &t.reads, &self.input), in_order(|t| &t.writes, &self.output));
        match (self.joined, fed, joined) {
            (_, true, true) => concat(tiles, reads.as_deref(), writes.as_deref()),
            (true, ..) => {
                let cut = tiles.into_iter().zip(&own).map(|(tile, t)| match &t.reads {
                    Some((a, range)) => chain(vec![entries(&self.input, *a, range)?, tile]),
                    None => Ok(tile),
                });
                concat(cut.collect::<Result<Vec<_>>>()?, None, writes.as_deref())
            }
            (false, false, _) => {
                let whole = tiles.into_iter().zip(&own).map(|(tile, t)| {
                    let read = t.reads.as_ref().map(|(a, range)| entries(&self.input, *a, range)).transpose()?;
                    let placed = t.writes.as_ref().map(|(a, range)| entries(&self.output, *a, range)).transpose()?;
                    chain(read.into_iter().chain([tile]).chain(placed.map(|p| p.h())))
                });
                add(whole.collect::<Result<Vec<_>>>()?)
            }
            (false, ..) => {
                let placed = tiles.into_iter().zip(&own).map(|(tile, t)| match &t.writes {
                    Some((a, range)) => chain(vec![tile, entries(&self.output, *a, range)?.h()]),
                    None => Ok(tile),
                });
                concat(placed.collect::<Result<Vec<_>>>()?, reads.as_deref(), None)
            }
        }
    }
}

/// What of a value is meant.
fn piece(part: Part) -> Piece {
    match part {
        Part::Some(axis, range) => Some((axis, range)),
        Part::Nothing | Part::Whole => None,
    }
}

/// The shape of a piece.
pub(crate) fn narrowed(shape: &Shape, piece: &Piece) -> Result<Shape> {
    let mut extents = shape.extents().to_vec();
    if let Some((axis, range)) = piece {
        extents[*axis] = range.len();
    }
    Shape::new(shape.dims().to_vec(), extents)
}

/// The linop that picks entries of an axis, under the same names.
fn entries(shape: &Shape, axis: usize, range: &Range<usize>) -> Result<Linop> {
    let dim = shape.dims()[axis].to_string();
    let names: Vec<String> = shape.dims().iter().map(Dim::to_string).collect();
    slice(shape, &[(&dim, range.clone())])?.out(names.join(" "))
}

/// Whether pieces lie along one axis, one behind the other, and are all of it.
fn consecutive<'p>(pieces: impl Iterator<Item = &'p Piece>, shape: &Shape) -> bool {
    let (mut at, mut along) = (0, None);
    for piece in pieces {
        let Some((axis, range)) = piece else { return false };
        if range.start != at || *along.get_or_insert(*axis) != *axis {
            return false;
        }
        at = range.end;
    }
    along.is_some_and(|axis| at == shape.extents()[axis])
}

/// A part of a linop, as a linop: entries of a dim.
fn part(a: &Linop, program: Program, input: Shape, output: Shape, (dim, range): (Dim, &Range<usize>)) -> Result<Linop> {
    let details = format!("{dim} {}..{} of {}", range.start, range.end, a.label());
    Ok(Linop::of(input, output, PartOf { program: Arc::new(program), details }))
}

#[derive(Debug)]
struct PartOf {
    program: Arc<Program>,
    details: String,
}

impl Operator for PartOf {
    fn op(&self) -> &'static str {
        "part"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        b.inline(&self.program, x)
    }

    fn saved(&self, _: &mut Saver) -> Result<()> {
        value_err!("a part of a linop cannot be saved; save the whole, and split after loading")
    }

    fn simplified(&self) -> Option<Result<Arc<Program>>> {
        Some(Ok(self.program.clone()))
    }
}

impl Linop {
    /// The same operator as `tiles` parts along a dim of its output, or else of its input: a concat of parts, which run side by
    /// side or one after the other as its [settings](crate::linop::Threadable) say.
    ///
    /// Each part has only the weights, coils, samples, rows … that it needs, and reads only what it needs: convolutions, blocks and
    /// differences read some entries of their neighbours, too. What is split again is made of smaller parts. Forward, adjoint and
    /// normal have the values of the whole, up to rounding where sums are cut.
    ///
    /// ```
    /// use linops::linop::{self, FftOptions};
    /// let f = linop::fft("C=8 Y=64 X=48", "Y X", FftOptions::default())?.out("C Ky Kx")?;
    /// let coils = f.split("C", 3)?;
    /// assert_eq!(coils.children()[0].output()?.to_string(), "C=3 Ky=64 Kx=48");
    /// let error = f.split("Kx", 2).unwrap_err();
    /// assert!(error.to_string().contains("Fourier transform"), "{error}");
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// The dim is neither in the output nor in the input, has fewer entries than tiles, or an operator on the way needs all of it
    /// for every entry, as a Fourier transform does of its axes; the message names it.
    pub fn split(&self, dim: &str, tiles: usize) -> Result<Linop> {
        self.tiled(&Tiling::tiles(dim, tiles))
    }

    /// The same operator in tiles, level by level; see [`split`](Linop::split).
    ///
    /// # Errors
    /// As for `split`.
    pub fn tiled(&self, tiling: &Tiling) -> Result<Linop> {
        let Some((dim, cut)) = tiling.levels.first() else { return Ok(self.clone()) };
        Tiles::of(self, dim, cut)?.linop(&tiling.rest())
    }

    /// Every dim of the output and of the input, and whether the linop can be split along it.
    ///
    /// ```
    /// use linops::linop::{self, Splits};
    /// use linops::Tensor;
    /// let kernel = Tensor::from_slice("X=3", &[1.0, 2.0, 1.0])?;
    /// let a = linop::convolve("C=4 X=32", &kernel, "X", Default::default())?.out("C X")?;
    /// let f = linop::fft("C=4 X=32", "X", Default::default())?.out("C X")?;
    /// let kinds = |a: &linops::Linop| Ok::<_, linops::Error>(a.splits()?.into_iter().map(|(_, s)| s).collect::<Vec<_>>());
    /// assert_eq!(kinds(&a)?, [Splits::Alone, Splits::WithNeighbours]);
    /// assert!(matches!(&kinds(&f)?[..], [Splits::Alone, Splits::Not(why)] if why.contains("Fourier transform")));
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// The linop carries an error.
    pub fn splits(&self) -> Result<Vec<(Dim, Splits)>> {
        let mut dims = self.output()?.dims().to_vec();
        dims.extend(self.input()?.dims().iter().filter(|d| self.output().is_ok_and(|o| o.axis(**d).is_none())));
        let kind = |dim: Dim| -> Result<(Dim, Splits)> {
            let thirds = |_: Dim, n: usize| {
                let starts = [0, n / 3, 2 * n / 3].into_iter().collect::<std::collections::BTreeSet<_>>();
                Ok(between(starts, n))
            };
            let kind = Tiles::along(self, &dim.to_string(), thirds).and_then(|t| t.kind());
            Ok((dim, kind.unwrap_or_else(|e| Splits::Not(e.root().to_string()))))
        };
        dims.into_iter().map(kind).collect()
    }

    /// Whether the linop can be split along a dim.
    ///
    /// # Errors
    /// As for [`split`](Linop::split): why it cannot.
    pub fn splits_along(&self, dim: &str) -> Result<()> {
        let two = |_: Dim, n: usize| Ok(between([0, 1].into_iter().filter(|s| *s < n), n));
        Tiles::along(self, dim, two).map(drop)
    }
}
