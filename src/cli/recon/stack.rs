//! Several images of one scan: each reconstructed on its own, all written as one array.

use super::field::any_needs_encoded;
use super::geometry;
use super::report::{Job, Part, Target};
use super::weight::Usual;
use super::{Args, grid, one};
use crate::cli::axes::bart_dim;
use crate::cli::common::expect_bytes;
use crate::cli::kspace::{Input, Inputs, Place};
use crate::cli::printer::{Kept, Printer, count_of, short};
use crate::cli::shown::Written;
use crate::cli::warnings::Warnings;
use crate::cli::{DONE, recon::percent};
use linops::app::KspaceNoise;
use linops::io::{Array, Format, Output, ScanInfo, Writer};
use linops::solve::SolveOptions;
use linops::{Device, Error, Result, Tensor};
use ndarray::{ArrayD, Axis, IxDyn};
use num_complex::Complex32;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::time::Instant;

pub(super) fn run(
    args: &Args,
    target: Output,
    device: &Device,
    inputs: Inputs,
    options: impl Fn() -> SolveOptions<'static>,
    printer: &Printer,
    warnings: &Warnings,
) -> Result<u8> {
    let Inputs { axes, images, .. } = inputs;
    let extents: Vec<usize> = axes.iter().map(|(_, values)| values.len()).collect();
    expect_writable(&target, extents.len() + 2)?;
    let total = images.len();
    // Of the slices, of whatever else is first.
    let slices = axes.iter().position(|(name, _)| *name == "slice");
    let step: usize = slices.map_or(1, |at| extents[at + 1..].iter().product());
    let mut infos: Vec<ScanInfo> = match slices {
        Some(at) => (0..extents[at])
            .filter_map(|slice| {
                images[slice * step..(slice + 1) * step].iter().flatten().find_map(Input::info).cloned()
            })
            .collect(),
        None => images.iter().flatten().find_map(Input::info).cloned().into_iter().collect(),
    };
    let order = match (slices, writer(&target)) {
        (Some(at), Some(Writer::Volume(_))) => {
            geometry::order(&infos, extents[at]).map_err(|why| Error::file(target.path(), why))?
        }
        _ => Vec::new(),
    };
    if !order.is_sorted() {
        warnings.say(format!("the volume has the slices in the order of their places: {order:?}"));
    }
    let samples = images.iter().flatten().filter_map(|input| match input {
        Input::Samples(samples) => Some(&**samples),
        Input::Grid(_) => None,
    });
    let encoded = if args.solves_samples() { Some(any_needs_encoded(samples, device)?) } else { None };
    // One for all: what a slice holds little of is no reason to smooth it more than its neighbours.
    let usual = args.takes_usual_lambda().then(|| {
        let grids = images.iter().flatten().filter_map(|input| match input {
            Input::Grid(kspace) => Some((**kspace).clone()),
            Input::Samples(_) => None,
        });
        Usual::of(KspaceNoise::weight(&grids.filter_map(|kspace| grid::noise(args, kspace)).collect::<Vec<_>>()))
    });
    let (mut parts, mut reports): (Vec<Option<Part>>, Vec<Kept>) = (Vec::new(), Vec::new());
    let (start, mut code, mut failed) = (Instant::now(), DONE, Vec::new());
    for input in images {
        let Some(input) = input.filter(|_| code == DONE) else {
            parts.push(None);
            continue;
        };
        warnings.next_image();
        let place = Some(Place { index: parts.len(), extents: extents.clone() });
        let (image, kept) = (RefCell::new(None), Printer::keeping());
        let job = Job::new(args, Target::Kept(&image), device, &kept, warnings)?;
        let job = Job { encoded, place, usual, ..job };
        match one(job, input, options()) {
            Ok(done) => {
                code = done;
                reports.push(kept.kept());
            }
            Err(e) => failed.push((parts.len(), e)),
        }
        parts.push(image.into_inner());
    }
    // A slice without a signal has no maps; that is no reason to lose the others.
    if parts.iter().all(Option::is_none)
        && let Some((_, first)) = failed.pop()
    {
        return Err(first);
    }
    for (at, e) in &failed {
        warnings.say(format!("image {at} of the stack is left 0: {e}"));
    }
    let seconds = start.elapsed().as_secs_f64();
    let first = parts.iter().flatten().next();
    let whole = first.map(|part| part.whole.clone()).unwrap_or_default();
    if let Some(fov_mm) = first.and_then(|part| part.fov_mm) {
        infos.iter_mut().for_each(|info| info.fov_mm = fov_mm);
    }
    let parts = parts.into_iter().map(|part| part.map(|part| part.image)).collect();
    let stack = stacked(&args.file, parts, &extents)?;
    let shape: Vec<String> = stack.shape().iter().map(usize::to_string).collect();
    let names: Vec<&str> = axes.iter().map(|(name, _)| *name).collect();
    let (stack, infos) = match (slices, order.is_sorted()) {
        (Some(at), false) => (stack.select(Axis(at), &order), order.iter().map(|&slice| &infos[slice]).collect()),
        _ => (stack, infos.iter().collect::<Vec<_>>()),
    };
    let shown = write(args, target, stack, &names, &infos, &whole)?;

    if let Some(first) = reports.first() {
        let last = ["solved", "gridded", "wrote", "reg"];
        first.fields.iter().filter(|(label, _)| !last.contains(&&**label)).for_each(|(l, text)| printer.field(l, text));
    }
    let facts: Vec<Value> = reports.into_iter().flat_map(|kept| kept.values).collect();
    let misfits: Vec<f64> = facts.iter().filter_map(|f| f["misfit"].as_f64()).collect();
    let least = misfits.iter().fold(f64::INFINITY, |a, b| a.min(*b));
    let most = misfits.iter().fold(0.0f64, |a, b| a.max(*b));
    let misfit =
        if misfits.is_empty() { String::new() } else { format!("; misfit {} to {}", percent(least), percent(most)) };
    let (reg, objective) = regularised(&facts).unzip();
    if let Some(reg) = reg {
        printer.field("reg", reg);
    }
    let objective = objective.unwrap_or_default();
    printer.field("solved", format_args!("{seconds:.3} s, {}{objective}{misfit}", count_of(facts.len(), "image")));
    let path = args.output.display().to_string();
    shown.say(printer, format_args!("{path}, ({}, y, x) = {}", names.join(", "), shape.join(" x ")));
    let axes: Vec<Value> = axes.iter().map(|(name, values)| json!({ "axis": name, "values": values })).collect();
    printer.json(&json!({
        "stack": axes,
        "missing": total - facts.len(),
        "images": facts,
        "seconds": seconds,
        "file": path,
        "shown": shown.facts,
        "warnings": warnings.json(),
    }));
    Ok(code)
}

/// The regularisers of all images with their weights, and by what they were solved to which objectives; None without regularisers.
fn regularised(facts: &[Value]) -> Option<(String, String)> {
    let from_to = |of: &dyn Fn(&Value) -> Option<f64>| {
        let values: Vec<f64> = facts.iter().filter_map(of).collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if least == most { short(least) } else { format!("{} to {}", short(least), short(most)) }
    };
    // Of an image that is 0 there is no weight.
    let facts: Vec<&Value> = facts.iter().filter(|f| f["objective"].as_f64().is_some_and(|f| f > 0.0)).collect();
    let first = facts.first()?;
    let terms = first["regularisers"].as_array().filter(|terms| !terms.is_empty())?;
    let term = |(k, term): (usize, &Value)| {
        let kind = term["kind"].as_str().unwrap_or_default();
        let relative = match kind {
            "l2" => String::new(),
            _ => format!(" {} of max|Ah y| of each image,", from_to(&|f| f["regularisers"][k]["relative"].as_f64())),
        };
        let mark = if term["default"] == true { " (default)" } else { "" };
        format!("{kind},{relative} lambda {}{mark}", from_to(&|f| f["regularisers"][k]["lambda"].as_f64()))
    };
    let reg = terms.iter().enumerate().map(term).collect::<Vec<_>>().join("; ");
    let objective = format!(
        ", {} iterations of {}; objectives {}",
        from_to(&|f| f["iterations"].as_f64()),
        first["solver"].as_str().unwrap_or_default(),
        from_to(&|f| f["objective"].as_f64())
    );
    Some((reg, objective))
}

pub(super) fn writer(output: &Output) -> Option<Writer> {
    Format::of(output.path()).and_then(|format| format.writer)
}

pub(super) fn is_bart(output: &Output) -> bool {
    Format::of(output.path()).is_some_and(|format| format.suffixes[0] == "cfl")
}

fn expect_writable(output: &Output, rank: usize) -> Result<()> {
    match writer(output) {
        Some(Writer::Volume(_)) if rank > 6 => {
            let message = format!("a NIfTI volume has 7 dims at most, the stack has {}; write .npy or .cfl", rank + 1);
            Err(Error::file(output.path(), message))
        }
        _ => Ok(()),
    }
}

/// The images behind the leading axes; 0 where there is none.
fn stacked(
    file: &std::path::Path,
    parts: Vec<Option<ArrayD<Complex32>>>,
    extents: &[usize],
) -> Result<ArrayD<Complex32>> {
    let Some(shape) = parts.iter().flatten().next().map(|image| image.shape().to_vec()) else {
        return Err(Error::file(file, "none of the images that are asked for is in the file"));
    };
    if let Some(other) = parts.iter().flatten().find(|image| image.shape() != shape) {
        let message = format!("its images have different extents, {shape:?} and {:?}; choose one", other.shape());
        return Err(Error::file(file, message));
    }
    let values = parts.len().saturating_mul(shape.iter().product()) as u64;
    expect_bytes(values.saturating_mul(8), || format!("a stack of {} images", parts.len()))?;
    let mut stack = ArrayD::zeros([&[parts.len()], shape.as_slice()].concat());
    for (mut to, part) in stack.axis_iter_mut(Axis(0)).zip(&parts) {
        if let Some(part) = part {
            to.assign(part);
        }
    }
    let whole = [extents, shape.as_slice()].concat();
    stack.into_shape_with_order(IxDyn(&whole)).map_err(|e| Error::Shape(e.to_string()))
}

/// Writes a stack: as it is, to BART's dims, as a volume whose slices come last of the axes in front, or side by side as a picture.
fn write(
    args: &Args,
    output: Output,
    stack: ArrayD<Complex32>,
    axes: &[&str],
    slices: &[&ScanInfo],
    whole: &[usize],
) -> Result<Written> {
    let own = stack.ndim() - axes.len();
    let image = stack.shape()[axes.len()..].to_vec();
    match writer(&output) {
        Some(Writer::Array(write)) if is_bart(&output) => {
            write(output, &Array::C32(in_bart(stack, axes)?))?;
            Ok(Written::default())
        }
        Some(Writer::Volume(_)) => {
            let at = axes.iter().position(|axis| *axis == "slice").filter(|_| own == 2);
            let last = axes.len().saturating_sub(1);
            let order: Vec<usize> = match at {
                Some(at) => (0..axes.len()).filter(|a| *a != at).chain([at]).chain(axes.len()..stack.ndim()).collect(),
                None => (0..stack.ndim()).collect(),
            };
            let mut turned = stack.permuted_axes(IxDyn(&order)).as_standard_layout().into_owned();
            if at.is_none() && own == 2 {
                turned = turned.insert_axis(Axis(last + 1));
            }
            let geometry = match at {
                Some(_) => geometry::stacked(slices, whole, &image),
                None => slices.first().and_then(|info| geometry::placed(info, whole, &image)),
            };
            args.shown.write(output, &named(turned)?, geometry.as_ref(), true)
        }
        Some(Writer::Picture(_) | Writer::Raster(_)) => {
            let n = stack.len() / image.iter().product::<usize>().max(1);
            let [ny, nx] = *image.as_slice() else {
                return Err(Error::Value("a picture is made of images of two axes; write .npy or .cfl".into()));
            };
            let flat = stack.into_shape_with_order(IxDyn(&[n, ny, nx])).map_err(|e| Error::Shape(e.to_string()))?;
            args.shown.write(output, &named(flat)?, None, true)
        }
        _ => args.shown.write(output, &named(stack)?, None, true),
    }
}

/// A tensor whose dims are called somehow.
fn named(array: ArrayD<Complex32>) -> Result<Tensor> {
    let names: Vec<String> = (0..array.ndim()).map(|n| format!("Axis{n}")).collect();
    Tensor::from_array(array, names.join(" ").as_str())
}

/// The same values with the axes at BART's places: in C order, the last dim first.
pub(super) fn in_bart(stack: ArrayD<Complex32>, axes: &[&str]) -> Result<ArrayD<Complex32>> {
    let own = stack.ndim() - axes.len();
    // The dim of each axis.
    let dims: Vec<usize> = axes.iter().map(|axis| bart_dim(axis).unwrap_or(15)).chain((0..own).rev()).collect();
    let mut order: Vec<usize> = (0..dims.len()).collect();
    order.sort_by_key(|axis| std::cmp::Reverse(dims[*axis]));
    let mut shape = vec![1; 16];
    dims.iter().zip(stack.shape()).for_each(|(dim, extent)| shape[15 - dim] = *extent);
    let turned = stack.permuted_axes(IxDyn(&order)).as_standard_layout().into_owned();
    turned.into_shape_with_order(IxDyn(&shape)).map_err(|e| Error::Shape(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_go_to_their_places() {
        let stack =
            ArrayD::from_shape_fn(vec![2, 3, 4, 5], |at| Complex32::from((at[0] * 100 + at[1] * 10 + at[3]) as f32));
        let bart = in_bart(stack.clone(), &["slice", "repetition"]).unwrap();
        assert_eq!((bart.shape()[15 - 13], bart.shape()[15 - 10], bart.shape()[14], bart.shape()[15]), (2, 3, 4, 5));
        let (s, r, x) = (1, 2, 3);
        let mut at = vec![0; 16];
        (at[2], at[5], at[15]) = (s, r, x);
        assert_eq!(bart[at.as_slice()], stack[[s, r, 0, x]]);
    }
}
