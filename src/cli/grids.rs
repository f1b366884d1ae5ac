//! What belongs to k-space on a grid, checked against it: sampling masks, and coil maps in one or several sets.

use super::arrays::{Arrays, with_first, without_ones};
use super::input::{is_bart, read, read_complex};
use super::kspace::{Kspace, exact};
use linops::io::{Cfl, Format, cfl_kspace, read_cfl};
use linops::{Error, Result};
use ndarray::{ArrayD, Axis, IxDyn};
use num_complex::Complex32;
use std::path::Path;

/// Reads a mask of zeros and ones, of any dtype, that fits the k-space: of all its axes, or of lines: (kz, ky) of a volume, or what of
/// its axes fits alone, (ky) or else (kx) of a slice. Axes of 1 repeat.
pub fn read_mask(path: &Path, kspace: &Kspace, notes: &mut Vec<String>) -> Result<ArrayD<f32>> {
    fitted(path, exact(read(path)?), kspace.grid(), "", notes)
}

/// Reads the masks (time, …) of so many frames on this grid: one for all, as of [`read_mask`], or where it is none of these one for
/// each, (time, …); what may be both is refused.
pub fn read_masks(path: &Path, frames: usize, grid: &[usize], notes: &mut Vec<String>) -> Result<ArrayD<f32>> {
    let array = exact(read(path)?);
    let mut said = Vec::new();
    let axes = ["kz", "ky", "kx"][3 - grid.len()..].join(", ");
    let or = format!(", or one for each frame, (time, {axes}) with {frames} in front");
    let one = fitted(path, array.clone(), grid, &or, &mut said);
    let each = array.ndim() > 1 && array.shape()[0] == frames;
    // BART's dims say what each axis is.
    if let (Ok(_), true, true) = (&one, each && !is_bart(path), array.ndim() < grid.len())
        && array.outer_iter().all(|mask| fitted(path, mask.to_owned(), grid, "", &mut Vec::new()).is_ok())
    {
        let (came, as_one) = (array.shape(), said.join(", "));
        let message = format!(
            "a mask of {came:?} is one for all frames ({as_one}), or one for each of {frames}; give all axes, with an extent of 1 \
             along those that it is the same along"
        );
        return Err(Error::file(path, message));
    }
    if one.is_ok() || !each {
        let one = one?;
        notes.append(&mut said);
        if each {
            notes.push("the mask is that of every frame".into());
        }
        let views = vec![one.view(); frames];
        return ndarray::stack(Axis(0), &views).map_err(|e| Error::file(path, e.to_string()));
    }
    let mut said = Vec::new();
    let each = array.outer_iter().map(|mask| fitted(path, mask.to_owned(), grid, &or, &mut said));
    let each = each.collect::<Result<Vec<_>>>()?;
    said.dedup();
    notes.append(&mut said);
    let views: Vec<_> = each.iter().map(|mask| mask.view()).collect();
    ndarray::stack(Axis(0), &views).map_err(|e| Error::file(path, e.to_string()))
}

/// A mask of zeros and ones over the grid, from one of fewer axes or of axes of 1. `or` is what else would do, for one of another shape.
fn fitted(
    path: &Path,
    mut mask: ArrayD<f64>,
    grid: &[usize],
    or: &str,
    notes: &mut Vec<String>,
) -> Result<ArrayD<f32>> {
    let axes = &["kz", "ky", "kx"][3 - grid.len()..];
    let came = mask.shape().to_vec();
    if is_bart(path) {
        // Trailing dims of 1, which come first here, are left out.
        while mask.ndim() < grid.len() {
            mask = mask.insert_axis(Axis(0));
        }
    }
    if mask.ndim() > grid.len() {
        mask = without_ones(mask, grid.len());
    }
    match *grid {
        // An extent of 1 says along which axis it is.
        [_, _] if mask.ndim() == 2 && !is_bart(path) && mask.len() > 1 && mask.broadcast(IxDyn(grid)).is_some() => {
            if let Some(one) = mask.shape().iter().position(|n| *n == 1) {
                notes.push(format!("the mask is along {}", axes[1 - one]));
            }
        }
        [ny, nx] if mask.shape() != grid => {
            mask = without_ones(mask, 1);
            if let &[n] = mask.shape() {
                let axis = match n {
                    n if n == ny => "ky",
                    n if n == nx => "kx",
                    n => {
                        let message =
                            format!("mask of {n} values, expected (ky, kx) of {grid:?}, or {ny} along ky{or}");
                        return Err(Error::file(path, message));
                    }
                };
                notes.push(format!("the mask is along {axis}"));
                mask = mask.insert_axis(Axis(usize::from(axis == "ky")));
            }
        }
        [nz, ny, nx] if mask.ndim() < 3 => mask = of_volume(path, mask, [nz, ny, nx], or, notes)?,
        _ => {}
    }
    let Some(mask) = mask.broadcast(IxDyn(grid)) else {
        let message = format!("a mask of {came:?}, expected ({}) with {grid:?} from the k-space{or}", axes.join(", "));
        return Err(Error::file(path, message));
    };
    if let Some((at, v)) = mask.indexed_iter().find(|(_, v)| **v != 0.0 && **v != 1.0) {
        let at = ndarray::Dimension::slice(&at);
        let place: Vec<String> = axes.iter().zip(at).map(|(axis, n)| format!("{axis}={n}")).collect();
        let message = format!("the mask is {v:?} at [{}]; expected 0 (not sampled) or 1 (sampled)", place.join(", "));
        return Err(Error::file(path, message));
    }
    Ok(mask.mapv(|v| v as f32))
}

/// A mask of a volume along one axis or two, with an extent of 1 along the others: (kz, ky) where that fits, else what alone does.
fn of_volume(
    path: &Path,
    mask: ArrayD<f64>,
    grid: [usize; 3],
    or: &str,
    notes: &mut Vec<String>,
) -> Result<ArrayD<f64>> {
    const NAMES: [&str; 3] = ["kz", "ky", "kx"];
    let some: &[&[usize]] = match mask.ndim() {
        1 => &[&[0], &[1], &[2]],
        2 => &[&[0, 1], &[1, 2], &[0, 2]],
        _ => &[],
    };
    let named = |of: &[usize]| of.iter().map(|a| NAMES[*a]).collect::<Vec<_>>().join(", ");
    let fits = |of: &&&[usize]| of.iter().zip(mask.shape()).all(|(a, n)| [1, grid[*a]].contains(n));
    let fitting: Vec<&[usize]> = some.iter().filter(fits).copied().collect();
    let came = mask.shape();
    let of = match fitting[..] {
        [] => {
            let each: Vec<String> = some.iter().map(|of| format!("({})", named(of))).collect();
            let message = format!(
                "a mask of {came:?}, expected (kz, ky, kx) with {grid:?} from the k-space, or one of {}{or}",
                each.join(", ")
            );
            return Err(Error::file(path, message));
        }
        [of] => of,
        [of, ..] if *of == [0, 1] || mask.len() == 1 => of,
        _ => {
            let which: Vec<String> = fitting.iter().map(|of| format!("({})", named(of))).collect();
            let message = format!(
                "a mask of {came:?}, which fits {}; give all three axes, with an extent of 1 along those that it is the same along",
                which.join(" and ")
            );
            return Err(Error::file(path, message));
        }
    };
    notes.push(format!("the mask is along {}", named(of)));
    let place = |a: usize| of.iter().position(|of| *of == a);
    let extents: Vec<usize> = (0..3).map(|a| place(a).map_or(1, |k| came[k])).collect();
    mask.into_shape_with_order(IxDyn(&extents)).map_err(|e| Error::file(path, e.to_string()))
}

/// Reads coil maps that fit the k-space as (coil, set, image…): (coil, image…), (coil, set, image…), or BART's (x, y, z, coil, set).
/// Of which axis the coils of a slice are is seen where only one makes them fit.
pub fn read_maps(path: &Path, kspace: &Kspace, arrays: &Arrays, notes: &mut Vec<String>) -> Result<ArrayD<Complex32>> {
    let (coils, grid) = (kspace.values.len_of(Axis(0)), kspace.grid());
    if let Some(maps) = own_maps(path, kspace)? {
        return Ok(maps);
    }
    if grid.len() > 2 || holds_sets(path)? {
        return read_map_sets(path, coils, grid);
    }
    let mut maps = match is_bart(path) {
        true => cfl_kspace(path)?.into_dyn(),
        false => read_complex(path)?,
    };
    let want = kspace.values.shape();
    if maps.ndim() == 2 && coils == 1 {
        maps = maps.insert_axis(Axis(0));
    }
    maps = without_ones(maps, 3);
    let fits = |axis: usize| {
        axis < maps.ndim() && {
            let mut shape = maps.shape().to_vec();
            let coils = shape.remove(axis);
            coils == want[0] && shape == want[1..]
        }
    };
    let asked = arrays.coil_axis.filter(|_| !is_bart(path)).map(|axis| arrays.place(path, axis, maps.ndim()));
    let axis = [asked.transpose()?, Some(0)].into_iter().flatten().chain(1..3).find(|axis| fits(*axis));
    if let Some(axis) = axis.filter(|axis| *axis != 0) {
        maps = with_first(maps, axis);
        notes.push(format!("the coils are along axis {axis} of the maps"));
    }
    if maps.ndim() != 3 {
        let message = format!(
            "coil maps with {} axes {:?}, expected 3: (coil, y, x); of maps of all slices give those of this one, or reconstruct --slice all",
            maps.ndim(),
            maps.shape()
        );
        return Err(Error::file(path, message));
    }
    let whole = match kspace.info.as_ref().and_then(|info| info.cut_to) {
        Some(cut) => format!(" of the encoded field of view, of which the image keeps {} x {}", cut[1], cut[2]),
        None => String::new(),
    };
    for ((dim, want), came) in ["C", "Ny", "Nx"].iter().zip(want).zip(maps.shape()) {
        if want != came {
            let message = format!("dim {dim} of the maps has extent {came}, expected {want} from the k-space{whole}");
            return Err(Error::file(path, message));
        }
    }
    Ok(maps.insert_axis(Axis(1)))
}

/// The maps of an image of a stack, where a file has those of all of them: (leading axes…, coil, image…), or with a set behind the
/// coil.
fn own_maps(path: &Path, kspace: &Kspace) -> Result<Option<ArrayD<Complex32>>> {
    let (Some(place), false) = (&kspace.place, is_bart(path)) else { return Ok(None) };
    let Some(probe) = Format::of_input(path).and_then(|format| format.probe) else { return Ok(None) };
    let shape = probe(path)?.shape;
    let one = shape.strip_prefix(place.extents.as_slice()).unwrap_or_default();
    let fits = |image: &[usize]| one.first() == kspace.values.shape().first() && image == kspace.grid();
    let sets = match one {
        [_, image @ ..] if fits(image) => false,
        [_, _, image @ ..] if fits(image) => true,
        _ => return Ok(None),
    };
    let maps = place.of(read_complex(path)?);
    Ok(Some(if sets { maps } else { maps.insert_axis(Axis(1)) }))
}

/// Reads coil maps that fit k-space of so many coils and this grid, as (coil, set, image…): an array (coil, image…) or (coil,
/// set, image…), or BART's (x, y, z, coil, set).
fn read_map_sets(path: &Path, coils: usize, grid: &[usize]) -> Result<ArrayD<Complex32>> {
    let at = |e: ndarray::ShapeError| Error::file(path, e.to_string());
    let axes = ["z", "y", "x"][3 - grid.len()..].join(", ");
    let (maps, expected) = if is_bart(path) {
        (bart_sets(path)?, "BART's (x, y, z, coil, set)".to_string())
    } else {
        let mut maps = read_complex(path)?;
        if maps.ndim() == grid.len() + 1 {
            maps = maps.insert_axis(Axis(1));
        }
        (maps, format!("(coil, {axes}) or (coil, set, {axes})"))
    };
    let without_ones = |extents: &[usize]| extents.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
    match maps.shape().split_at_checked(2) {
        Some((&[c, sets], image)) if c == coils && without_ones(image) == without_ones(grid) => {
            let shape = [&[coils, sets], grid].concat();
            maps.into_shape_with_order(IxDyn(&shape)).map_err(at)
        }
        _ => {
            let wanted: Vec<String> = grid.iter().map(usize::to_string).collect();
            let series = match (grid.len(), maps.shape()) {
                (3, _) => "; a series of frames needs --time",
                (_, [_, c, ..]) if *c == coils => {
                    "; of maps of all slices give those of this one, or reconstruct --slice all"
                }
                _ => "",
            };
            let message = format!(
                "coil maps of shape {:?}, expected {expected} with {coils} coils and an image of {} from the k-space{series}",
                maps.shape(),
                wanted.join(" x ")
            );
            Err(Error::file(path, message))
        }
    }
}

/// BART's (x, y, z, coil, set) as (coil, set, z, y, x).
fn bart_sets(path: &Path) -> Result<ArrayD<Complex32>> {
    let Cfl { dims, array } = read_cfl(path)?;
    if let Some((index, extent)) = dims.iter().enumerate().skip(5).find(|(_, n)| **n != 1) {
        let message =
            format!("BART dim {index} of the coil maps is {extent}, expected 1: maps are (x, y, z, coil, set)");
        return Err(Error::file(path, message));
    }
    let extent = |index: usize| dims.get(index).copied().unwrap_or(1);
    let shape = [extent(4), extent(3), extent(2), extent(1), extent(0)];
    let sets = array.into_shape_with_order(IxDyn(&shape)).map_err(|e| Error::file(path, e.to_string()))?;
    Ok(sets.permuted_axes(IxDyn(&[1, 0, 2, 3, 4])).as_standard_layout().into_owned())
}

/// Whether a file of coil maps for slices holds several sets.
fn holds_sets(path: &Path) -> Result<bool> {
    let Some(probe) = Format::of_input(path).and_then(|format| format.probe) else { return Ok(false) };
    let shape = probe(path)?.shape;
    Ok(match is_bart(path) {
        // The dims reversed, without those of 1 behind.
        true => shape.len() == 5 && shape[0] > 1,
        false => shape.len() == 4 && shape[1] > 1,
    })
}
