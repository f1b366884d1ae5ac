//! Linops under a byte budget: which tiling keeps within it, and applying a linop tile by tile from the host.

use super::device::Device;
use super::fit::{Search, one_by_one};
use crate::error::{Error, Result, shape_err, value_err};
use crate::linop::{Linop, Piece, Tiles, Tiling, narrowed};
use crate::tensor::{DType, HostArray, Tensor};
use ndarray::{ArrayD, Axis, IxDyn, Slice};
use num_complex::Complex32;

/// A tiling that keeps within a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fit {
    /// The tiles; no level where the whole fits.
    pub tiling: Tiling,
    /// Whether x and y stay on the host and the tiles' parts of them are moved, since x and y themselves are too large for the
    /// budget. Else the linop in tiles is one plan, whose parts run one after the other.
    pub staged: bool,
    /// Bytes that it takes on the device: of the whole, or of the tile that takes most. Of many tiles those at the ends, in the middle
    /// and some between are planned, and those that hold more weights or values than these.
    pub peak: u64,
    /// Plans that were made to find it: some hundreds at most, however many dims and levels there are.
    pub plannings: usize,
}

impl Fit {
    /// The tiles in words: "C in 4 tiles, from the host".
    pub fn how(&self) -> String {
        format!("{}{}", self.tiling, if self.staged { ", from the host" } else { "" })
    }
}

/// Levels of tiles that are tried.
const LEVELS: usize = 3;

impl Linop {
    /// How applying this linop on a device to x of a dtype keeps within a budget of bytes: whole, in tiles as one plan, or in
    /// tiles from the host. Plans are made, nothing is allocated on the device.
    ///
    /// A tile's weights count as its own. Of all dims the one is taken that needs the fewest tiles; where no dim alone is enough,
    /// tiles are cut further along others. At most a few hundred plans are made ([`Fit::plannings`]).
    ///
    /// ```
    /// use linops::{DType, Device, linop};
    /// let a = linop::fft("C=16 Y=64 X=64", "Y X", Default::default())?.out("C Ky Kx")?;
    /// let whole = a.fit(&Device::host(), DType::Complex32, 64 << 20)?;
    /// assert_eq!(whole.tiling.to_string(), "whole");
    /// let tiled = a.fit(&Device::host(), DType::Complex32, 512 << 10)?;
    /// assert!(tiled.staged && tiled.peak <= 512 << 10);
    /// assert_eq!(tiled.tiling.levels()[0].0, "C");
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`TooBig`](Error::TooBig) if no tiling keeps within the budget, with the least that is needed.
    pub fn fit(&self, device: &Device, dtype: DType, bytes: u64) -> Result<Fit> {
        let mut search = Search { device, dtype, bytes, plannings: 0, least: u64::MAX, last: None };
        let whole = search.peak(self)?;
        if whole <= bytes {
            return Ok(Fit { tiling: Tiling::default(), staged: false, peak: whole, plannings: 1 });
        }
        let (x, y) = (self.input()?, self.output()?);
        let ends = (x.len() as u64 + y.len() as u64) * dtype.bytes();
        if ends < bytes
            && let Some((tiling, peak)) = search.in_one_plan(self)?
        {
            return Ok(Fit { tiling, staged: false, peak, plannings: search.plannings });
        }
        match search.staged(self, LEVELS)? {
            Some((tiling, peak)) => Ok(Fit { tiling, staged: true, peak, plannings: search.plannings }),
            None => Err(Error::TooBig {
                what: format!("{}, in the smallest tiles that it can be split into,", self.label()),
                needed: search.least.min(whole),
                limit: bytes,
            }),
        }
    }

    /// y = A x for an x on the host, tile by tile: a tile's part of x goes to a device, and what the tile makes of it comes back
    /// and is put into y, or added to it, in the order of the tiles. So x and y, on the host, may be larger than a device, or than
    /// its buffers, can hold. Tile k runs on device k of the list, which goes round; with several devices as many tiles run at the
    /// same time.
    ///
    /// ```
    /// use linops::linop::Tiling;
    /// use linops::{DType, Device, Tensor, linop};
    /// let a = linop::fft("C=16 Y=64 X=64", "Y X", Default::default())?.out("C Ky Kx")?;
    /// let x = Tensor::zeros("C=16 Y=64 X=64", DType::Complex32)?;
    /// let y = a.apply_in_tiles(&x, &Tiling::chunks("C", 3), &[Device::host()])?;
    /// assert_eq!(y.shape(), a.output()?);
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// x is not on the host or has another shape, no device is given, the tiling does not fit, or a device fails.
    pub fn apply_in_tiles(&self, x: &Tensor, tiling: &Tiling, devices: &[Device]) -> Result<Tensor> {
        self.input()?.expect(x.shape()).map_err(|e| e.at(format!("{}: input", self.label())))?;
        if devices.is_empty() {
            return value_err!("no device is given to apply {} on; give at least one", self.label());
        }
        if x.host_array().is_none() {
            let what = format!("x is on {}; applying in tiles takes a tensor on the host", x.device_name());
            return Err(Error::Device(what));
        }
        self.staged(x, tiling, devices, u64::MAX)
    }

    /// Tile by tile, each within a budget; with the largest one nothing is looked at.
    fn staged(&self, x: &Tensor, tiling: &Tiling, devices: &[Device], bytes: u64) -> Result<Tensor> {
        let Some((dim, cut)) = tiling.levels().first() else { return self.alone(x, &devices[0], bytes) };
        let (tiles, inner) = (Tiles::of(self, dim, cut)?, tiling.rest());
        let mut y: Option<Sum> = None;
        for first in (0..tiles.count()).step_by(devices.len()) {
            let round = devices.len().min(tiles.count() - first);
            // A tile and its weights are gone before the next round is made.
            let run = |k: usize| {
                let tile = tiles.tile(first + k)?;
                let at = |e: Error| e.at(format!("{} ({})", tile.linop.label(), self.label()));
                let part = piece_of(x, &tile.reads).map_err(at)?;
                let y = tile.linop.staged(&part, &inner, &devices[k..=k], bytes);
                Ok((y.map_err(at)?, tile.writes))
            };
            let results: Vec<Result<(Tensor, Piece)>> = std::thread::scope(|scope| {
                let run = &run;
                let others: Vec<_> = (1..round).map(|k| scope.spawn(move || run(k))).collect();
                let first = run(0);
                let joined = others
                    .into_iter()
                    .map(|t| t.join().unwrap_or_else(|_| Err(Error::Panicked("a thread that applied a tile".into()))));
                std::iter::once(first).chain(joined).collect()
            });
            for result in results {
                let (part, writes) = result?;
                let sum = match &mut y {
                    Some(sum) => sum,
                    None => y.insert(Sum::new(tiles.output.extents(), part.dtype())?),
                };
                sum.add(&part, &writes)?;
            }
        }
        match y {
            Some(y) => Tensor::from_host(tiles.output, y.0),
            None => shape_err!("{} has no tiles", self.label()),
        }
    }

    /// A tile as it is, or in tiles of its own where it takes more than the budget: not all of many were planned before.
    fn alone(&self, x: &Tensor, device: &Device, bytes: u64) -> Result<Tensor> {
        if bytes == u64::MAX {
            return self.apply(&x.to(device)?)?.to(&Device::host());
        }
        let Fit { tiling, staged, .. } = self.fit(device, x.dtype(), bytes)?;
        if staged {
            return self.staged(x, &tiling, std::slice::from_ref(device), bytes);
        }
        one_by_one(&self.tiled(&tiling)?).apply(&x.to(device)?)?.to(&Device::host())
    }

    /// y = A x for an x on the host within a budget of bytes on a device: as [`fit`](Linop::fit) says. y is on the host. Each tile is
    /// planned before it runs, and one that takes more than the others is cut further. While it runs the device keeps no more
    /// than the budget between applies, of others neither.
    ///
    /// # Errors
    /// As for `fit` and [`apply_in_tiles`](Linop::apply_in_tiles).
    pub fn apply_within(&self, x: &Tensor, device: &Device, bytes: u64) -> Result<Tensor> {
        self.input()?.expect(x.shape()).map_err(|e| e.at(format!("{}: input", self.label())))?;
        let x = x.to(&Device::host())?;
        // A tile's weights leave before those of the next pile up.
        device.while_keeping(bytes, || self.alone(&x, device, bytes.min(u64::MAX - 1)))
    }
}

/// Entries of a host tensor; its values are not copied.
fn piece_of(x: &Tensor, piece: &Piece) -> Result<Tensor> {
    let Some((axis, range)) = piece else { return Ok(x.clone()) };
    let Some(array) = x.host_array() else { return Err(Error::Device("x is not on the host".into())) };
    let cut = Slice::from(range.clone());
    let mut array = array.clone();
    match &mut array {
        HostArray::F32(a) => a.slice_axis_inplace(Axis(*axis), cut),
        HostArray::Complex32(a) => a.slice_axis_inplace(Axis(*axis), cut),
    }
    Tensor::from_host(narrowed(x.shape(), piece)?, array)
}

/// The output on its way.
struct Sum(HostArray);

impl Sum {
    fn new(extents: &[usize], dtype: DType) -> Result<Sum> {
        let len = extents.iter().product();
        let shape = IxDyn(extents);
        let wrong = |e: ndarray::ShapeError| Error::Shape(format!("an output of extents {extents:?}: {e}"));
        Ok(Sum(match dtype {
            DType::F32 => HostArray::F32(
                ArrayD::from_shape_vec(shape, crate::allocate::zeroed::<f32>(len)?).map_err(wrong)?.into(),
            ),
            DType::Complex32 => HostArray::Complex32(
                ArrayD::from_shape_vec(shape, crate::allocate::zeroed::<Complex32>(len)?).map_err(wrong)?.into(),
            ),
        }))
    }

    /// Adds a tile's result where it belongs.
    fn add(&mut self, part: &Tensor, piece: &Piece) -> Result<()> {
        let cut =
            |n: usize| piece.as_ref().map_or((Axis(0), Slice::from(0..n)), |(a, r)| (Axis(*a), Slice::from(r.clone())));
        match (&mut self.0, part.host_array()) {
            (HostArray::F32(y), Some(HostArray::F32(part))) => {
                let (axis, cut) = cut(y.shape().first().copied().unwrap_or(1));
                if y.ndim() == 0 { *y += part } else { y.slice_axis_mut(axis, cut).zip_mut_with(part, |y, v| *y += v) }
            }
            (HostArray::Complex32(y), Some(HostArray::Complex32(part))) => {
                let (axis, cut) = cut(y.shape().first().copied().unwrap_or(1));
                if y.ndim() == 0 { *y += part } else { y.slice_axis_mut(axis, cut).zip_mut_with(part, |y, v| *y += v) }
            }
            _ => return shape_err!("the tiles' results differ in dtype"),
        }
        Ok(())
    }
}
