//! `linops inspect`: what is in a file of measured data, before any work.

use super::entries::is_open;
use super::input::read;
use super::printer::{Printer, count_of, short};
use super::{DONE, recon};
use linops::Result;
use linops::io::{
    Array, Contents, EncodingContents, Format, NiftiHeader, Probe, Reader, ScanChoice, nifti_header, npz_arrays,
    npz_entry, read_cfl, scan_contents,
};
use ndarray::{ArrayD, Dimension};
use num_complex::Complex32;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// List what is in a file of measured data, before any work
///
/// Lists what a file holds: of scans their encodings, counters, flags, geometry and noise; of arrays shape, type and the
/// strongest value.
#[derive(clap::Args)]
pub struct Args {
    /// An ISMRMRD or fastMRI file (.h5, .hdf5, .mrd), an array (.npy, .npz, .cfl), a picture (.png, .tif) or a volume (.nii, .nii.gz)
    file: PathBuf,

    /// The group of an HDF5 file [default: the only one that holds a scan]
    #[arg(long, value_name = "NAME")]
    group: Option<String>,

    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// What shows without a look at any file.
    pub fn check(&self) -> Result<(), String> {
        let format = Format::of(&self.file).filter(|_| self.file.as_os_str() != "-");
        let scan = format.is_none_or(|format| matches!(format.reader, Some(Reader::Scan(_))));
        match self.group.is_some() && !scan {
            true => Err(format!("--group is for HDF5 files (.h5, .mrd); {} is none", self.file.display())),
            false => Ok(()),
        }
    }
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let path = &args.file;
    if Format::of_input(path).is_some_and(|format| format.suffixes.contains(&"nii")) {
        volume(path, &nifti_header(path)?, printer);
        return Ok(DONE);
    }
    if is_open(path) {
        let arrays = npz_arrays(path)?;
        if arrays.len() > 1 {
            archive(path, &arrays, printer);
            return Ok(DONE);
        }
    }
    match Format::reader_of(path, |_| true)? {
        Reader::Scan(_) => {
            let contents = scan_contents(path, &ScanChoice::default().group(args.group.clone()))?;
            describe(path, &contents, printer);
            printer.json(&facts(path, &contents));
        }
        Reader::Bart(_) => {
            let cfl = read_cfl(path)?;
            let used = cfl.dims.iter().rposition(|n| *n != 1).map_or(1, |last| last + 1);
            let dims = recon::by(&cfl.dims[..used]);
            array(
                path,
                &format!("BART array, dims {dims} (x, y, z, coil, …), first fastest"),
                Array::C32(cfl.array),
                printer,
            );
        }
        _ => {
            let name = Format::of_input(path).map_or("array", |format| format.name);
            array(path, name, read(path)?, printer);
        }
    }
    Ok(DONE)
}

/// What a NIfTI volume says of itself.
fn volume(path: &Path, header: &NiftiHeader, printer: &Printer) {
    let NiftiHeader { shape, dtype, voxel, is_mm, affine, .. } = header;
    printer.field("file", format_args!("{}: NIfTI volume (only its header is looked at)", path.display()));
    printer.field("shape", format_args!("{}, {dtype} (x last)", recon::by(shape)));
    let size: Vec<String> = voxel.iter().map(|v| short((v * 1000.0).round() / 1000.0)).collect();
    printer.field("voxels", format_args!("{}{} (z, y, x)", size.join(" x "), if *is_mm { " mm" } else { "" }));
    match affine {
        Some(rows) => rows.iter().enumerate().for_each(|(r, row)| {
            let row: Vec<String> = row.iter().map(|v| format!("{v:>9.3}")).collect();
            printer.field(if r == 0 { "affine" } else { "" }, row.join(" "));
        }),
        None => printer.field("affine", "none (sform): it says not where it lies"),
    }
    printer.json(&json!({
        "file": path.display().to_string(),
        "format": "NIfTI volume",
        "shape": shape,
        "dtype": dtype,
        "voxel": voxel,
        "in_mm": is_mm,
        "affine": affine,
    }));
}

/// The arrays of an archive.
fn archive(path: &Path, arrays: &[(String, Probe)], printer: &Printer) {
    printer.field("file", format_args!("{}: NumPy archive of {}", path.display(), count_of(arrays.len(), "array")));
    for (name, held) in arrays {
        printer.field(name, format_args!("{}, {}", recon::by(&held.shape), held.dtype));
    }
    let example = npz_entry(path, &arrays[0].0);
    printer.field("", format_args!("one of them by its name, as {}", example.display()));
    let arrays = arrays.iter().map(|(name, held)| json!({ "name": name, "shape": held.shape, "dtype": held.dtype }));
    printer.json(&json!({
        "file": path.display().to_string(),
        "format": "NumPy archive",
        "arrays": arrays.collect::<Vec<_>>(),
    }));
}

/// Shape, type, and the strongest value of an array.
fn array(path: &Path, what: &str, array: Array, printer: &Printer) {
    let (shape, dtype) = (array.shape().to_vec(), array.dtype_name());
    let values: ArrayD<Complex32> = array.into_complex();
    let bad = values.iter().filter(|v| !v.is_finite()).count();
    let zero = values.iter().filter(|v| **v == Complex32::default()).count();
    let size = |v: &Complex32| if v.is_finite() { v.norm() } else { -1.0 };
    let strongest = values.indexed_iter().max_by(|a, b| size(a.1).total_cmp(&size(b.1)));
    let (at, value) = strongest.map_or((vec![], 0.0), |(at, v)| (at.slice().to_vec(), v.norm()));
    let away: Vec<i64> = at.iter().zip(&shape).map(|(i, n)| *i as i64 - (*n / 2) as i64).collect();
    printer.field("file", format_args!("{}: {what}", path.display()));
    printer.field("shape", format_args!("{}, {dtype}", recon::by(&shape)));
    printer.field("strongest", format_args!("{} at {at:?}, {away:?} from N/2 along each axis", short(value)));
    let part = 100.0 * zero as f64 / values.len().max(1) as f64;
    printer.field("zeros", format_args!("{zero} of {} ({part:.1} %)", values.len()));
    if bad > 0 {
        printer.field("not finite", bad);
    }
    printer.json(&json!({
        "file": path.display().to_string(),
        "format": what,
        "shape": shape,
        "dtype": dtype,
        "strongest": { "value": value, "at": at, "from_centre": away },
        "zeros": zero,
        "not_finite": bad,
    }));
}

/// "3 (0 to 2)" of a counter with several values.
fn values(values: &[(usize, usize)]) -> String {
    let numbers: Vec<usize> = values.iter().map(|(value, _)| *value).collect();
    let (first, last) = (numbers.first().copied().unwrap_or(0), numbers.last().copied().unwrap_or(0));
    let (least, most) = values.iter().fold((usize::MAX, 0), |(least, most), (_, n)| (least.min(*n), most.max(*n)));
    let listed = match last - first + 1 == numbers.len() {
        true => format!("{first} to {last}"),
        false if numbers.len() <= 12 => numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
        false => format!("{first} to {last} with gaps"),
    };
    let each = if least == most { most.to_string() } else { format!("{least} to {most}") };
    format!("{} ({listed}), {each} lines each", numbers.len())
}

fn span([least, most]: [usize; 2]) -> String {
    if least == most { most.to_string() } else { format!("{least} to {most}") }
}

fn mm(values: &[f64]) -> String {
    match values.iter().all(|v| *v > 0.0) {
        true => {
            format!("{} mm", values.iter().map(|v| short((v * 100.0).round() / 100.0)).collect::<Vec<_>>().join(" x "))
        }
        false => "no field of view".into(),
    }
}

fn describe(path: &Path, contents: &Contents, printer: &Printer) {
    let Contents { groups, group, records, flags, roles, encodings, noise, warnings, .. } = contents;
    let kind = if group.is_empty() { "fastMRI".into() } else { format!("ISMRMRD, group {group}") };
    let others: Vec<&str> = groups.iter().filter(|g| *g != group).map(String::as_str).collect();
    let others = if others.is_empty() { String::new() } else { format!(" (others: {})", others.join(", ")) };
    printer.field("file", format_args!("{}: {kind}{others}", path.display()));
    let roles: Vec<String> = roles.iter().map(|(name, n)| format!("{n} {name}")).collect();
    printer.field("lines", format_args!("{records}: {}", roles.join(", ")));
    let names: Vec<String> = flags.iter().map(|(number, name, n)| format!("{number} {name} ({n})")).collect();
    if !names.is_empty() {
        printer.field("flags", names.join(", "));
    }
    for (number, encoding) in encodings.iter().enumerate() {
        let heading = format!("{}, {}", encoding.trajectory, count_of(encoding.lines, "imaging line"));
        printer.field(&if encodings.len() > 1 { format!("encoding {number}") } else { "encoding".into() }, heading);
        describe_encoding(encoding, printer);
    }
    if let Some(noise) = noise {
        let deviations: Vec<String> = noise.deviation.iter().map(|v| format!("{v:.3e}")).collect();
        let time =
            if noise.sample_time_us > 0.0 { format!(" of {} µs", short(noise.sample_time_us)) } else { String::new() };
        printer.field(
            "noise",
            format_args!(
                "{}, {} samples{time}; correlations up to {:.2}; deviation of each channel {}",
                count_of(noise.lines, "line"),
                noise.samples,
                noise.correlation,
                deviations.join(", ")
            ),
        );
    }
    warnings.iter().for_each(|warning| printer.field("warning", warning));
}

fn describe_encoding(e: &EncodingContents, printer: &Printer) {
    let axes = if e.encoded_matrix[0] > 1 { 0..3 } else { 1..3 };
    let space = |matrix: &[usize; 3], fov: &[f64; 3]| {
        format!("{} over {}", recon::by(&matrix[axes.clone()]), mm(&fov[axes.clone()]))
    };
    printer.field("  encoded", space(&e.encoded_matrix, &e.encoded_fov_mm));
    printer.field("  recon", space(&e.recon_matrix, &e.recon_fov_mm));
    let centres: Vec<String> = e.centre_samples.iter().take(6).map(usize::to_string).collect();
    let time = if e.sample_time_us > 0.0 { format!(" of {} µs", short(e.sample_time_us)) } else { String::new() };
    printer.field(
        "  readout",
        format_args!(
            "{} channels, {} samples{time}, centre at {}",
            span(e.channels),
            span(e.samples),
            centres.join(", ")
        ),
    );
    let centre = |n: Option<usize>| n.map_or("not given".into(), |n| n.to_string());
    let line = match axes.start {
        0 => format!("partition {}, line {}", centre(e.centre[0]), centre(e.centre[1])),
        _ => format!("line {}", centre(e.centre[1])),
    };
    printer.field("  centre", line);
    if e.acceleration != [1, 1] || !e.calibration.is_empty() {
        let word = if e.calibration.is_empty() { "not given" } else { &e.calibration };
        printer.field(
            "  parallel",
            format_args!("acceleration {} x {}, reference lines {word}", e.acceleration[0], e.acceleration[1]),
        );
    }
    for counter in &e.counters {
        if counter.values.len() > 1 || counter.values.first().is_some_and(|(value, _)| *value > 0) {
            printer.field(&format!("  {}", counter.name), values(&counter.values));
        }
    }
    if !e.reach.is_empty() {
        let reach: Vec<String> = e.reach.iter().map(|r| format!("{r:.4}")).collect();
        printer
            .field("  reach", format_args!("{} along x, y, z as in the file; read as {}", reach.join(", "), e.units));
    }
    let [partition, line, sample] = e.strongest;
    let at = match axes.start {
        0 => format!("partition {partition}, line {line}, sample {sample}"),
        _ => format!("line {line}, sample {sample}"),
    };
    match e.from_centre {
        Some([z, y, x]) if axes.start == 0 => {
            printer.field("  peak", format_args!("{at}: {z}, {y} and {x} from the centre"));
        }
        Some([_, y, x]) => printer.field("  peak", format_args!("{at}: {y} and {x} from the centre")),
        None if e.lines > 0 && !e.reach.is_empty() => printer.field("  peak", at),
        None => {}
    }
    if e.placement.is_known() {
        let v = |v: &[f64; 3]| v.iter().map(|c| format!("{c:.2}")).collect::<Vec<_>>().join(", ");
        let p = &e.placement;
        printer.field(
            "  placement",
            format_args!(
                "({}) mm, read ({}), phase ({}), slice ({})",
                v(&p.position_mm),
                v(&p.read_dir),
                v(&p.phase_dir),
                v(&p.slice_dir)
            ),
        );
    }
}

fn facts(path: &Path, contents: &Contents) -> Value {
    let Contents { groups, group, records, flags, roles, encodings, noise, warnings, .. } = contents;
    let encoding = |e: &EncodingContents| {
        let counters = e.counters.iter().map(|c| {
            let values: Vec<Value> = c.values.iter().map(|(value, n)| json!([value, n])).collect();
            (c.name.to_string(), json!(values))
        });
        let placement = e.placement.is_known().then(|| {
            let p = &e.placement;
            json!({ "position_mm": p.position_mm, "read_dir": p.read_dir, "phase_dir": p.phase_dir, "slice_dir": p.slice_dir })
        });
        json!({
            "trajectory": e.trajectory,
            "encoded_matrix": e.encoded_matrix,
            "recon_matrix": e.recon_matrix,
            "encoded_fov_mm": e.encoded_fov_mm,
            "recon_fov_mm": e.recon_fov_mm,
            "centre": e.centre,
            "acceleration": e.acceleration,
            "calibration": e.calibration,
            "lines": e.lines,
            "channels": e.channels,
            "samples": e.samples,
            "centre_samples": e.centre_samples,
            "sample_time_us": e.sample_time_us,
            "counters": counters.collect::<serde_json::Map<_, _>>(),
            "reach": e.reach,
            "units": e.units,
            "strongest": e.strongest,
            "from_centre": e.from_centre,
            "placement": placement,
        })
    };
    json!({
        "file": path.display().to_string(),
        "groups": groups,
        "group": group,
        "records": records,
        "flags": flags.iter().map(|(number, name, n)| json!({ "flag": number, "name": name, "lines": n })).collect::<Vec<_>>(),
        "roles": roles.iter().map(|(name, n)| (name.to_string(), json!(n))).collect::<serde_json::Map<_, _>>(),
        "encodings": encodings.iter().map(encoding).collect::<Vec<_>>(),
        "noise": noise.as_ref().map(|n| json!({
            "lines": n.lines,
            "samples": n.samples,
            "sample_time_us": n.sample_time_us,
            "deviation": n.deviation,
            "correlation": n.correlation,
        })),
        "warnings": warnings,
    })
}
