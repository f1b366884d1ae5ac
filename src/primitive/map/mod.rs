//! The kernel of all that is pointwise: zeros, one fused read, or the sum of several.

mod gpu;
mod host;

#[cfg(feature = "gpu")]
pub(crate) use gpu::variants;

use super::{Sample, scale_reads};
use crate::access::{Access, AxisMap, Constant, ConstantData, Load, Post, ValueId};
use crate::error::Result;
use crate::plan::{Held, Kernel, Scratch, Target, Work};
use crate::shader::UNITS;
use num_complex::Complex32;

/// The sum of the reads, from the first on; zeros where there are none.
#[derive(Clone, Debug)]
pub(crate) struct MapKernel {
    /// Of equal extents.
    pub loads: Vec<Load>,
    /// Number of results.
    pub len: usize,
}

impl MapKernel {
    /// A read, stored.
    pub fn of(load: Load) -> MapKernel {
        MapKernel { len: load.count(), loads: vec![load] }
    }

    /// A sum of reads.
    pub fn sum(loads: Vec<Load>) -> MapKernel {
        MapKernel { len: loads.first().map_or(0, Load::count), loads }
    }

    /// So many zeros.
    pub fn zeros(len: usize) -> MapKernel {
        MapKernel { loads: Vec::new(), len }
    }

    /// The read, if there is one: what may be moved into the kernels that read the result.
    pub fn view(&self) -> Option<&Load> {
        match &self.loads[..] {
            [load] => Some(load),
            _ => None,
        }
    }
}

impl Kernel for MapKernel {
    fn name(&self) -> &'static str {
        match self.loads.len() {
            0 => "zero",
            1 => "map",
            _ => "add",
        }
    }

    fn details(&self) -> String {
        String::new()
    }

    fn loads(&self) -> &[Load] {
        &self.loads
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        &mut self.loads
    }

    fn output_len(&self) -> usize {
        self.len
    }

    fn work(&self) -> Work {
        Work { flops: 2 * (self.len * self.loads.len().saturating_sub(1)) as u64, read: 0 }
    }

    fn held(&self) -> Vec<Held<'_>> {
        Vec::new()
    }

    fn takes(&self, load: &Load, target: &Target) -> bool {
        // A sum binds its terms beside their weights; one that has more of them than fit is cut later.
        let most = if self.loads.len() > 1 { target.max_factors().saturating_sub(2) } else { target.max_factors() };
        load.factors.len() <= most || load.factors.is_empty()
    }

    fn absorb(&mut self, after: &Load, complex: bool, _: &Target) -> bool {
        !self.loads.is_empty() && scale_reads(&mut self.loads, after, complex)
    }

    fn crop(&mut self, _: &[usize], _: &[(usize, usize)]) -> Option<Vec<(usize, usize)>> {
        None
    }

    fn scratch(&self, _: bool, _: &Target) -> Option<Scratch> {
        None
    }

    fn post(&self) -> Option<&Post> {
        None
    }

    /// On the host a map gains nothing there, and an addition reads the overwritten term first.
    fn may_overwrite(&self, which: usize, target: &Target) -> bool {
        if target.is_host() && (self.loads.len() == 1 || which > 0) {
            return false;
        }
        let load = &self.loads[which];
        // A read that needs several dispatches, as where its weights are not bound whole, must not overwrite its source in
        // the first of them.
        let in_one_window = |f: &crate::access::Factor| {
            f.weight.len() <= target.bindable() || f.access == Access::c_order(&load.extents)
        };
        load.is_in_order() && load.factors.iter().all(in_one_window)
    }
}

/// What shows that reads through index maps and additions work on a device.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    let x = ValueId::INPUT;
    Ok(vec![
        Sample::of("index maps", &[3, 5], |b| b.map_axis(x, 1, AxisMap::affine(1, -1, 1, 5, 8), 8))?,
        Sample::of("additions", &[40], |b| {
            let (flipped, rolled) = (AxisMap::affine(-1, 39, 1, 40, 40), AxisMap::wrapped(1, -3, 40));
            let terms = [b.map_axis(x, 0, flipped, 40)?, b.map_axis(x, 0, rolled, 40)?];
            b.add(&terms)
        })?,
        Sample::of("zeros", &[40], |b| b.zero(vec![3, 7]))?,
        // By units: of a value that is turned, with weights of each element, of a row, and of a column, conjugated.
        Sample::of("weights", &[16, UNITS / 16], |b| {
            let turned = b.map_axis(x, 0, AxisMap::affine(-1, 15, 1, 16, 16), 16)?;
            let weight = |n: usize| -> Vec<Complex32> {
                (0..n).map(|k| Complex32::new((k % 7) as f32 - 2.5, (k % 5) as f32 - 1.5)).collect()
            };
            let of = |extents: &[usize]| {
                Constant::new(extents.to_vec(), ConstantData::C32(weight(extents.iter().product())))
            };
            let all = b.mul(turned, of(&[16, UNITS / 16])?, vec![0, 1], true)?;
            let row = b.mul(all, of(&[UNITS / 16])?, vec![1], false)?;
            b.mul(row, of(&[16])?, vec![0], true)
        })?,
    ])
}
