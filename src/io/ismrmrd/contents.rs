//! What is in a file, listed before any work.

use super::fastmri;
use super::header::Header;
use super::info::{Placement, turned};
use super::readout;
use super::records::{Acquisition, IMAGE_COUNTERS, flag};
use super::select::{Role, role};
use super::whiten::covariance;
use super::{ScanChoice, with_file, with_lines};
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A counter of the lines of an encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counter {
    /// Its name: line, partition, slice, contrast, phase, repetition, set, average, segment.
    pub name: &'static str,
    /// The values that imaging lines have, in order, each with the number of those lines.
    pub values: Vec<(usize, usize)>,
}

/// What a noise scan tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NoiseContents {
    /// Noise lines.
    pub lines: usize,
    /// Samples of them.
    pub samples: usize,
    /// Dwell time in µs; 0 where it is not known.
    pub sample_time_us: f64,
    /// Standard deviation of each channel.
    pub deviation: Vec<f64>,
    /// The largest correlation of two channels.
    pub correlation: f64,
}

/// What a file has of one encoding of its header. Extents are (z, y, x).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EncodingContents {
    /// What the header calls the trajectory.
    pub trajectory: String,
    /// Encoded matrix.
    pub encoded_matrix: [usize; 3],
    /// Reconstructed matrix.
    pub recon_matrix: [usize; 3],
    /// Field of view of the encoded matrix in mm.
    pub encoded_fov_mm: [f64; 3],
    /// Field of view of the reconstructed matrix in mm.
    pub recon_fov_mm: [f64; 3],
    /// The partition and line that the header calls the centre.
    pub centre: [Option<usize>; 2],
    /// Acceleration along partitions and lines, as the header has it.
    pub acceleration: [usize; 2],
    /// Where the reference lines stand, as the header has it; empty where it does not say.
    pub calibration: String,
    /// Lines for the image.
    pub lines: usize,
    /// Channels that lines have, at least and at most.
    pub channels: [usize; 2],
    /// Samples that lines have, at least and at most.
    pub samples: [usize; 2],
    /// The centre samples of the lines.
    pub centre_samples: Vec<usize>,
    /// Dwell time in µs of the first line; 0 where it is not known.
    pub sample_time_us: f64,
    /// The counters of its lines.
    pub counters: Vec<Counter>,
    /// Coordinates of each sample in the records: their number, and how far they reach, x first.
    pub reach: Vec<f64>,
    /// In which units they would be read; empty without them.
    pub units: String,
    /// The partition, line and sample of the strongest sample of all.
    pub strongest: [usize; 3],
    /// How far it is from the centre: partitions, lines, samples. `None` of lines that are on no grid.
    pub from_centre: Option<[i64; 3]>,
    /// Where the first line was acquired.
    pub placement: Placement,
}

/// What a file has.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Contents {
    /// The groups that hold scans.
    pub groups: Vec<String>,
    /// The group that this is about; empty for a fastMRI file.
    pub group: String,
    /// Records, of whatever kind.
    pub records: usize,
    /// The flags that lines have, by name and number, with how many have them.
    pub flags: Vec<(u32, &'static str, usize)>,
    /// Lines by what they are for: image, reference, noise, phase correction, other.
    pub roles: Vec<(&'static str, usize)>,
    /// The encodings.
    pub encodings: Vec<EncodingContents>,
    /// The noise scan, if there is one that can be used.
    pub noise: Option<NoiseContents>,
    /// What is odd.
    pub warnings: Vec<String>,
}

/// Lists what an ISMRMRD or fastMRI file holds, of the group of a choice.
///
/// # Errors
/// [`Error::File`] when the file cannot be read, or no line of it.
pub fn scan_contents(path: impl AsRef<Path>, choice: &ScanChoice) -> Result<Contents> {
    let path = path.as_ref();
    with_file(path, |file| {
        if fastmri::is_fastmri(file) {
            return of_fastmri(file).map_err(|e| Error::file(path, e));
        }
        let groups = super::groups(file);
        let group = super::group_of(file, choice).map_err(|e| Error::file(path, e))?;
        let mut contents = Contents {
            groups,
            group,
            records: 0,
            flags: Vec::new(),
            roles: Vec::new(),
            encodings: Vec::new(),
            noise: None,
            warnings: Vec::new(),
        };
        let count = with_lines(path, file, &choice.clone().encoding(0), |header, lines| {
            contents.of_lines(lines);
            Ok(header.encodings)
        })?;
        for number in 0..count {
            with_lines(path, file, &choice.clone().encoding(number), |header, lines| {
                let own: Vec<&Acquisition> = lines.iter().filter(|a| a.encoding == number).collect();
                contents.encodings.push(encoding(header, &own));
                Ok(())
            })?;
        }
        Ok(contents)
    })
}

impl Contents {
    fn of_lines(&mut self, lines: &[Acquisition]) {
        self.records = lines.len();
        for (index, name) in flag::NAMES.iter().enumerate() {
            let number = index as u32 + 1;
            let n = lines.iter().filter(|a| a.has(number)).count();
            if n > 0 {
                self.flags.push((number, name, n));
            }
        }
        let mut roles: BTreeMap<Role, usize> = BTreeMap::new();
        lines.iter().for_each(|a| *roles.entry(role(a)).or_default() += 1);
        let name = |role: Role| match role {
            Role::Image => "image",
            Role::Reference => "reference",
            Role::Noise => "noise",
            Role::PhaseCorrection => "phase correction",
            Role::Other => "other",
        };
        self.roles = roles.into_iter().map(|(role, n)| (name(role), n)).collect();
        let noise: Vec<&Acquisition> = lines.iter().filter(|a| role(a) == Role::Noise).collect();
        if noise.is_empty() {
            return;
        }
        match covariance(&noise) {
            Ok((psi, samples)) => {
                let deviation: Vec<f64> = psi.diag().iter().map(|v| v.re.max(0.0).sqrt()).collect();
                let pairs = (0..deviation.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
                let part = |(i, j): (usize, usize)| psi[[i, j]].norm() / (deviation[i] * deviation[j]);
                let correlation = pairs.map(part).filter(|v| v.is_finite()).fold(0.0, f64::max);
                let sample_time_us = noise[0].sample_time;
                self.noise =
                    Some(NoiseContents { lines: noise.len(), samples, sample_time_us, deviation, correlation });
            }
            Err(why) => self.warnings.push(format!("the noise scan cannot be used: {why}")),
        }
    }
}

/// What lines of one encoding have.
fn encoding(header: &Header, all: &[&Acquisition]) -> EncodingContents {
    let lines: Vec<&Acquisition> = all.iter().copied().filter(|a| role(a) == Role::Image).collect();
    let span = |of: fn(&Acquisition) -> usize| {
        let values: BTreeSet<usize> = lines.iter().map(|a| of(a)).collect();
        [values.first().copied().unwrap_or(0), values.last().copied().unwrap_or(0)]
    };
    let counter = |name: &'static str, of: &dyn Fn(&Acquisition) -> usize| {
        let mut values: BTreeMap<usize, usize> = BTreeMap::new();
        lines.iter().for_each(|a| *values.entry(of(a)).or_default() += 1);
        Counter { name, values: values.into_iter().collect() }
    };
    let mut counters = vec![counter("line", &|a| a.line), counter("partition", &|a| a.partition)];
    counters.extend(IMAGE_COUNTERS.iter().enumerate().map(|(i, name)| counter(name, &move |a| a.image[i])));
    counters.push(counter("segment", &|a| a.segment));
    let dims = lines.first().map_or(0, |a| a.trajectory_dims);
    let mut reach = vec![0.0f64; dims.min(3)];
    let mut strongest: Option<(&Acquisition, usize)> = None;
    let mut most = 0.0f32;
    for &line in &lines {
        for sample in readout::kept(line) {
            if line.trajectory_dims == dims {
                (0..reach.len()).for_each(|d| reach[d] = reach[d].max(f64::from(line.coordinate(sample, d).abs())));
            }
            let size = (0..line.channels).map(|c| line.value(c, sample).norm_sqr()).sum::<f32>();
            if size > most {
                (most, strongest) = (size, Some((line, sample)));
            }
        }
    }
    let units = match dims {
        0 => String::new(),
        _ => super::header_units::Units::of(&reach, header).name,
    };
    let on_a_grid = header.may_be_a_grid() && dims == 0;
    let from_centre = strongest.filter(|_| on_a_grid).map(|(line, sample)| {
        let middle = |said: Option<usize>, n: usize| said.unwrap_or(n / 2) as i64;
        let position = if line.has(flag::REVERSE) { line.samples - 1 - sample } else { sample };
        [
            line.partition as i64 - middle(header.centre[1], header.encoded[2]),
            line.line as i64 - middle(header.centre[0], header.encoded[1]),
            position as i64 - readout::centre(line, header.encoded[0]) as i64,
        ]
    });
    let [step, partition] = header.centre;
    let [faster, faster_z] = header.acceleration;
    let centre_samples: BTreeSet<usize> = lines.iter().map(|a| a.centre_sample).collect();
    EncodingContents {
        trajectory: header.trajectory.clone(),
        encoded_matrix: turned(header.encoded),
        recon_matrix: turned(header.recon),
        encoded_fov_mm: turned(header.encoded_fov),
        recon_fov_mm: turned(header.recon_fov),
        centre: [partition, step],
        acceleration: [faster_z, faster],
        calibration: header.calibration_word.clone(),
        lines: lines.len(),
        channels: span(|a| a.channels),
        samples: span(|a| a.samples),
        centre_samples: centre_samples.into_iter().collect(),
        sample_time_us: lines.first().map_or(0.0, |a| a.sample_time),
        counters,
        reach,
        units,
        strongest: strongest.map_or([0; 3], |(line, sample)| [line.partition, line.line, sample]),
        from_centre,
        placement: lines.first().map(|a| Placement::of(a.place)).unwrap_or_default(),
    }
}

fn of_fastmri(file: &hdf5_pure::File) -> Result<Contents, String> {
    let kspace = file.root().dataset("kspace").map_err(|e| e.to_string())?;
    let [slices, coils, rows, columns] = fastmri::extents(&kspace)?;
    let header = fastmri::header(file);
    let slice = Counter { name: "slice", values: (0..slices).map(|n| (n, columns)).collect() };
    let encoding = EncodingContents {
        trajectory: "cartesian (fastMRI: rows are the readout)".into(),
        encoded_matrix: header.as_ref().map_or([1, columns, rows], |h| turned(h.encoded)),
        recon_matrix: header.as_ref().map_or([1, columns, rows], |h| turned(h.recon)),
        encoded_fov_mm: header.as_ref().map_or([0.0; 3], |h| turned(h.encoded_fov)),
        recon_fov_mm: header.as_ref().map_or([0.0; 3], |h| turned(h.recon_fov)),
        centre: [None; 2],
        acceleration: [1; 2],
        calibration: String::new(),
        lines: slices * columns,
        channels: [coils; 2],
        samples: [rows; 2],
        centre_samples: vec![rows / 2],
        sample_time_us: 0.0,
        counters: vec![slice],
        reach: Vec::new(),
        units: String::new(),
        strongest: [0; 3],
        from_centre: None,
        placement: Placement::default(),
    };
    Ok(Contents {
        groups: Vec::new(),
        group: String::new(),
        records: slices * columns,
        flags: Vec::new(),
        roles: vec![("image", slices * columns)],
        encodings: vec![encoding],
        noise: None,
        warnings: Vec::new(),
    })
}
