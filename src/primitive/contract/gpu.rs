//! Matrix products on a GPU with workgroup memory: by tiles that are held there, see `matrix.wgsl`.

use super::host::MatrixKernel;
use super::product::Product;
#[cfg(feature = "gpu")]
use super::{Contract, Variant};
#[cfg(feature = "gpu")]
use crate::access::{Constant, ConstantData};
use crate::access::{AxisIndex, Load, ValueId};
use crate::error::{Error, Result};
#[cfg(feature = "gpu")]
use crate::ir::Builder;
use crate::plan::GpuKernel;
use crate::primitive::sum::BLOCK;
use crate::shader::{
    Chunk, Draft, GpuLimits, KernelFile, KernelShape, Operand, Source, Stepper, StoreTo, Text, clamp, load_function, word,
};
use std::fmt::Write;

const MATRIX: KernelFile = KernelFile { name: "matrix", text: include_str!("matrix.wgsl"), imports: &[] };

/// Rows and columns of an invocation: 16 sums and the blocks that are added to them fit registers everywhere.
const EACH: usize = 4;
/// Fewer invocations leave most of a core idle.
const FEWEST: usize = 32;

/// What a workgroup makes, and of how many terms at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    height: usize,
    width: usize,
    depth: usize,
}

/// Tiles that are worth a measurement, at most.
const CANDIDATES: usize = 12;

impl Tile {
    /// The tile of the model, or the one that was measured to be faster than that; None where there is none.
    pub fn of(p: &Product, limits: &GpuLimits) -> Option<Tile> {
        let model = Tile::by_model(p, limits)?;
        let place = limits.choices.and_then(|c| c.place(&model.what()));
        Some(place.and_then(|place| model.candidates(limits).into_iter().nth(place)).unwrap_or(model))
    }

    /// What the choice of a tile is called where the model takes this one.
    pub fn what(&self) -> String {
        format!("product tile {}x{}", self.height, self.width)
    }

    /// What could be taken in place of it: itself, and smaller ones, which leave the device as busy. Terms are added in the same
    /// order by all of them.
    pub fn candidates(&self, limits: &GpuLimits) -> Vec<Tile> {
        let halves = |n: usize| [n, n / 2, n / 4].into_iter().filter(|n| *n >= 8);
        let sides = halves(self.height).flat_map(|height| halves(self.width).map(move |width| (height, width)));
        let deep = |(height, width)| [16, 8, 4].map(|depth| Tile { height, width, depth });
        let fits = |t: &Tile| t.fits(limits) && t.height * t.width >= FEWEST * EACH * EACH && t != self;
        let mut all: Vec<Tile> = sides.flat_map(deep).filter(fits).collect();
        all.sort_by(|a, b| a.read().total_cmp(&b.read()).then(b.depth.cmp(&a.depth)));
        all.insert(0, *self);
        all.truncate(CANDIDATES);
        all
    }

    /// What is read of both operands for a result falls with the harmonic mean of the sides.
    fn read(&self) -> f64 {
        1.0 / self.height as f64 + 1.0 / self.width as f64
    }

    /// Whether workgroup memory holds what it needs of both operands.
    fn fits(&self, limits: &GpuLimits) -> bool {
        self.depth * (self.height + self.width + 2) <= limits.workgroup_memory as usize / 8
    }

    /// The largest tile that leaves the device busy; None where there is none.
    pub fn by_model(p: &Product, limits: &GpuLimits) -> Option<Tile> {
        if limits.shape == KernelShape::Cpu {
            return None;
        }
        let most = (limits.max_invocations as usize).min(256) * EACH * EACH;
        let fits = |n: usize, most: usize| n.next_power_of_two().clamp(8, most);
        let mut all = Vec::new();
        for height in [64, 32, 16, 8].into_iter().filter(|h| *h <= fits(p.rows, 64)) {
            for width in [256, 128, 64, 32, 16, 8].into_iter().filter(|w| *w <= fits(p.one.1, 256)) {
                let deepest = [16, 8, 4].map(|depth| Tile { height, width, depth }).into_iter().find(|t| t.fits(limits));
                all.extend(deepest.filter(|_| (FEWEST * EACH * EACH..=most).contains(&(height * width))));
            }
        }
        all.sort_by(|a, b| a.read().total_cmp(&b.read()));
        all.into_iter().find(|t| t.groups_of(p, p.one) as u64 >= limits.fill)
    }

    fn groups(&self, p: &Product) -> usize {
        self.groups_of(p, (p.outer, p.columns))
    }

    fn groups_of(&self, p: &Product, (outer, columns): (usize, usize)) -> usize {
        outer * p.rows.div_ceil(self.height) * columns.div_ceil(self.width)
    }
}

/// The choices of tiles, each with a product of about so many elements.
#[cfg(feature = "gpu")]
pub(super) fn variants(limits: &GpuLimits, elements: usize) -> Result<Vec<Variant>> {
    let mut all: Vec<Variant> = Vec::new();
    let terms = 64;
    for rows in [256, 32, 16, 8] {
        // As many columns as leave the device busy with the widest tiles.
        let busy = 256 * usize::try_from(limits.fill).unwrap_or(usize::MAX).min(1 << 12);
        let columns = (elements / rows.max(terms)).max(busy).min(limits.bindable() / rows.max(terms));
        let values = (0..rows * terms).map(|i| (i % 7) as f32 - 3.0).collect();
        let weight = Constant::new(vec![rows, terms], ConstantData::F32(values))?;
        let c = Contract { weight, conj: false, w: vec![0, 1], x: vec![1, 2], y: vec![0, 2] };
        let sizes = |label: u32| [rows, terms, columns][label as usize];
        let Some(tile) = Product::of(&c, &sizes, 1).and_then(|p| Tile::by_model(&p, limits)) else { continue };
        let (what, candidates) = (tile.what(), tile.candidates(limits).len());
        if candidates > 1 && all.iter().all(|v| v.what != what) {
            let program = move || {
                let mut b = Builder::new(&[terms, columns]);
                let y = b.contract(ValueId::INPUT, c.clone())?;
                b.finish(y)
            };
            all.push(Variant { what, candidates, program: Box::new(program) });
        }
    }
    Ok(all)
}

/// Whether the product, and what it reads, is one that a kernel binds whole.
pub(super) fn takes(p: &Product, load: &Load, weight: usize, limits: &GpuLimits) -> bool {
    let most = limits.bindable();
    let results = p.outer * p.rows * p.columns;
    Tile::of(p, limits).is_some()
        && load.factors.len() <= limits.max_factors()
        && [load.span(), weight, results].into_iter().all(|n| n <= most)
}

impl GpuKernel for MatrixKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        let p = &self.product;
        let tile = Tile::of(p, &s.limits).ok_or_else(|| Error::Value("no tile makes this product".into()))?;
        let groups = tile.groups(p);
        // As much work as half so many bytes.
        let at_once = (s.most_results(p.terms as u64) / (tile.height * tile.width)).max(1);
        (0..groups).step_by(at_once).map(|first| self.draft(s, tile, first, at_once.min(groups - first))).collect()
    }
}

impl MatrixKernel {
    fn draft(&self, s: &Stepper, tile: Tile, first: usize, count: usize) -> Result<Draft> {
        let p = &self.product;
        let len = s.len;
        let mut t = Text::new(s.complex);
        let dst = s.destination(Chunk { first: 0, count: len })?;
        t.bind(3, Operand::Value(s.store.value), s.element(), dst, "read_write", "dst");
        // x, and what weighs it.
        let load = self.load[0].collapsed();
        let ranges = Stepper::ranges(&load, (0, load.count()));
        let source = &s.sources[0];
        let window = s.one("a product's operand", clamp(load.source.footprint(&ranges), source.len), source.element())?;
        t.bind(4, Operand::Value(source.value), source.element(), window, "read", "x");
        let mut weights = Vec::new();
        for (k, f) in load.factors.iter().enumerate() {
            let element = if f.weight.is_complex() { 8 } else { 4 };
            let footprint = clamp(f.access.footprint(&ranges), f.weight.len());
            let window = s.one("a product's weight", footprint, element)?;
            let name = format!("f{k}");
            t.bind(word("a binding", 6 + k)?, Operand::Constant(f.weight.clone()), element, window, "read", &name);
            weights.push((name, element == 8, window));
        }
        let named: Vec<Source> =
            weights.iter().map(|(name, complex, window)| Source { name, complex: *complex, window: *window }).collect();
        let x = Source { name: "x", complex: source.complex, window };
        t.body += &load_function("fetch", &load, load.extents.len(), s.complex, &x, &named, &mut t.words);
        // The weight.
        let complex = self.weight.is_complex() && s.complex;
        let element = if self.weight.is_complex() { 8 } else { 4 };
        let whole = s.one("a product's weight", (0, self.weight.len() as i64 - 1), element)?;
        t.bind(5, Operand::Constant(self.weight.clone()), element, whole, "read", "w");
        let mut own = Load::whole(ValueId::INPUT, &p.weight_extents);
        own.source = p.weight.clone();
        let own = own.collapsed();
        let w = Source { name: "w", complex: self.weight.is_complex(), window: whole };
        t.body += &load_function("weight", &own, own.extents.len(), complex, &w, &[], &mut t.words);
        self.matrix(&mut t);
        t.store("store", &StoreTo { store: s.store, len, dst, add: false }, None);
        for (name, value) in [
            ("count", count),
            ("first", first),
            ("across", p.columns.div_ceil(tile.width)),
            ("down", p.rows.div_ceil(tile.height)),
            ("rows", p.rows),
            ("columns", p.columns),
            ("terms", p.terms),
        ] {
            t.param(name, word("a number of a product", value)?);
        }
        let d = &mut t.defines;
        for (name, value) in
            [("BLOCK", BLOCK), ("HEIGHT", tile.height), ("WIDTH", tile.width), ("DEPTH", tile.depth), ("EACH", EACH)]
        {
            d.set(name, format!("{value}u"));
        }
        d.set("EACH_COUNT", EACH);
        d.set("INVOCATIONS", tile.height * tile.width / (EACH * EACH));
        d.set("W_MEMORY", tile.depth * (tile.height + 1));
        d.set("X_MEMORY", tile.depth * (tile.width + 1));
        d.set("W", if complex { "vec2<f32>" } else { "f32" });
        for (name, holds) in [
            ("W_COMPLEX", complex),
            ("CONJ", self.conj),
            ("W_TURNED", self.along_rows()),
            ("X_TURNED", self.turned),
            ("Y_TURNED", p.turned),
        ] {
            if holds {
                d.set(name, "");
            }
        }
        t.finish(MATRIX, count as u64)
    }

    /// `fn matrix(o)`: which matrix of the weight an outer index is multiplied by.
    fn matrix(&self, t: &mut Text) {
        let mut f = "fn matrix(o: u32) -> u32 {\n    var rest = o;\n    var at = 0u;\n".to_string();
        for &(extent, step) in self.product.matrices.iter().rev() {
            let extent = t.words.count(extent);
            if step > 0 {
                let step = t.words.count(step);
                let _ = writeln!(f, "    at += rest % {extent} * {step};");
            }
            let _ = writeln!(f, "    rest = rest / {extent};");
        }
        f.push_str("    return at;\n}\n");
        t.body += &f;
    }

    /// Whether the weight's rows lie closer together than its terms.
    fn along_rows(&self) -> bool {
        let p = &self.product;
        let stride = |a: usize| match p.weight.axes[a] {
            AxisIndex::Linear { stride } if p.weight_extents[a] > 1 => stride,
            _ => i64::MAX,
        };
        let (rows, terms) = (p.matrix_axes..p.matrix_axes + p.row_axes, p.matrix_axes + p.row_axes..p.weight_extents.len());
        rows.map(stride).min() < terms.map(stride).min()
    }
}

// Depths of tiles end where blocks do.
const _: () = assert!(BLOCK.is_multiple_of(16));
