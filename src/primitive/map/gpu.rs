//! Pointwise work on a GPU: an invocation makes one result or a few, of many by units of 16 bytes where operands and results are made
//! of such.

use super::MapKernel;
use crate::access::Access;
#[cfg(feature = "gpu")]
use crate::access::{AxisMap, Constant, ConstantData, ValueId};
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::ir::Builder;
use crate::plan::{GpuKernel, Kernel};
#[cfg(feature = "gpu")]
use crate::primitive::Variant;
#[cfg(feature = "gpu")]
use crate::shader::KernelShape;
use crate::shader::{
    Along, Chunk, Draft, GpuLimits, KernelFile, Listed, PerResult, Read, Stepper, Text, UNITS, Window, unit,
};
#[cfg(feature = "gpu")]
use num_complex::Complex64;

const MAP: KernelFile = KernelFile { name: "map", text: include_str!("map.wgsl"), imports: &[] };

/// What counts as many results: a large GPU has work for all its cores.
const MANY: usize = 1 << 20;

/// The results of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    /// So many accesses: so many reads are under way at once.
    each: usize,
    order: Order,
}

/// How the results of an invocation lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// 256 apart, so that those of its neighbours lie beside each other.
    Apart,
    /// One behind the other.
    Beside,
    /// In units of 16 bytes, which are 256 apart; what is not made of such units lies apart, with as many bytes for each invocation.
    Units,
}

const fn share(each: usize, order: Order) -> Share {
    Share { each, order }
}

/// Of few results, and of so few that units of them would leave a large GPU without work.
const FEW: Share = share(1, Order::Units);
const FEWEST: Share = share(1, Order::Apart);

/// What an invocation may make of many, the model's own first.
const SHARES: [Share; 8] = [
    share(2, Order::Units),
    share(1, Order::Units),
    share(4, Order::Units),
    share(4, Order::Apart),
    share(2, Order::Apart),
    share(1, Order::Apart),
    share(8, Order::Apart),
    share(2, Order::Beside),
];

/// Operands from which on maps are one choice.
const OPERANDS: usize = 4;

impl MapKernel {
    /// What is read for a result.
    fn operands(&self) -> usize {
        self.loads.iter().map(|l| 1 + l.factors.len()).sum()
    }

    fn share(&self, complex: bool, limits: &GpuLimits) -> Share {
        match self.output_len() {
            ..UNITS => return FEWEST,
            UNITS..MANY => return FEW,
            MANY.. => {}
        }
        let place = limits.choices.filter(|_| complex).and_then(|c| c.place(&what(self.operands(), self.is_in_order())));
        place.and_then(|place| SHARES.get(place)).copied().unwrap_or(SHARES[0])
    }

    /// Whether all operands are read in the order of the results, one element for each.
    fn is_in_order(&self) -> bool {
        self.loads.iter().all(|l| {
            let l = l.collapsed();
            l.is_in_order() && l.factors.iter().all(|f| f.access == Access::c_order(&l.extents))
        })
    }
}

/// What the choice of a share is called, for maps of complex results.
fn what(operands: usize, in_order: bool) -> String {
    let order = if in_order { "in order" } else { "moved" };
    match operands {
        0..OPERANDS => format!("map of {operands} {order}"),
        _ => format!("map of {OPERANDS} and more {order}"),
    }
}

/// The choices of shares, each with a map of about so many elements, or of as many as there is a choice for.
#[cfg(feature = "gpu")]
pub(crate) fn variants(limits: &GpuLimits, elements: usize) -> Result<Vec<Variant>> {
    // A software adapter gains nothing that would be worth its time.
    if limits.shape == KernelShape::Cpu || limits.bindable() < MANY {
        return Ok(Vec::new());
    }
    let n = elements.clamp(MANY, limits.bindable()) / 1024;
    let extents = [n, 1024];
    let x = ValueId::INPUT;
    let weight = move |k: usize| {
        let values = (0..n * 1024).map(|i| ((i + k) % 7) as f32 - 3.0).collect();
        Constant::new(extents.to_vec(), ConstantData::F32(values))
    };
    let program = move |operands: usize, in_order: bool| {
        let mut b = Builder::new(&extents);
        let read = match in_order {
            true => b.scale(x, Complex64::new(2.0, 0.0))?,
            false => b.map_axis(x, 0, AxisMap::affine(-1, n as i64 - 1, 1, n, n), n)?,
        };
        let y = match operands {
            0 | 1 => read,
            2 => b.mul(read, weight(0)?, vec![0, 1], false)?,
            _ => {
                let mut terms = [b.mul(read, weight(0)?, vec![0, 1], false)?, b.scale(x, Complex64::new(3.0, 0.0))?];
                if operands > 3 {
                    terms[1] = b.mul(terms[1], weight(1)?, vec![0, 1], false)?;
                }
                b.add(&terms)?
            }
        };
        b.finish(y)
    };
    let variant = |(operands, in_order)| {
        let program = Box::new(move || program(operands, in_order));
        Variant { what: what(operands, in_order), candidates: SHARES.len(), program }
    };
    Ok((1..=OPERANDS).flat_map(|n| [(n, true), (n, false)]).map(variant).collect())
}

impl GpuKernel for MapKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        s.drafts(&Shared { kernel: self, share: self.share(s.complex, &s.limits), unit: unit(s.complex) })
    }
}

/// A map, and what an invocation makes of it.
struct Shared<'a> {
    kernel: &'a MapKernel,
    share: Share,
    /// Results of 16 bytes.
    unit: usize,
}

impl Shared<'_> {
    /// Accesses of an invocation.
    fn each(&self, along: Option<Along>) -> usize {
        // Few that are no units are single ones, so that there are as many invocations as there can be.
        let singles = self.share.order == Order::Units && self.share != FEW && along.is_none();
        if singles { self.share.each * self.unit } else { self.share.each }
    }
}

impl PerResult for Shared<'_> {
    fn reads(&self) -> Vec<Read> {
        self.kernel.loads.iter().map(Read::whole).collect()
    }

    fn chunks(&self, s: &Stepper) -> Vec<Chunk> {
        // Whole rows of the first read.
        let row = self.kernel.loads.first().and_then(|l| l.extents.first()).map_or(1, |n| s.len / n);
        s.by_rows(row, s.most_results(8 * (1 + self.kernel.operands() as u64)))
    }

    fn reach(&self, chunk: Chunk) -> (usize, usize) {
        (chunk.first, chunk.first + chunk.count)
    }

    fn lists(&self, _: Chunk) -> Vec<Listed> {
        Vec::new()
    }

    fn along(&self, _: &Stepper) -> &'static [Along] {
        if self.share.order == Order::Units { &[Along::Results] } else { &[] }
    }

    fn assemble(&self, t: &mut Text, reads: usize, _: &[Window], along: Option<Along>) -> Result<()> {
        let (each, order) = (self.each(along), self.share.order);
        t.value_of(reads);
        t.defines.set("EACH", format!("{each}u"));
        t.defines.set("EACH_COUNT", each);
        if order == Order::Beside {
            t.defines.set("BESIDE", "");
        }
        Ok(())
    }

    fn file(&self, along: Option<Along>) -> (KernelFile, u64) {
        (MAP, 256 * self.each(along) as u64)
    }
}
