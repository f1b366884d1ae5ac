//! The records of the `data` table: one acquired line each.

use super::heap::{GlobalHeap, little_endian};
use hdf5_pure::{Datatype, DatatypeByteOrder};
use num_complex::Complex32;

/// Bits of `flags`; ISMRMRD numbers them from 1 (`ismrmrd.h`, `ISMRMRD_ACQ_…`).
pub(super) mod flag {
    pub(in super::super) const NOISE: u32 = 19;
    pub(in super::super) const CALIBRATION: u32 = 20;
    pub(in super::super) const CALIBRATION_AND_IMAGING: u32 = 21;
    pub(in super::super) const REVERSE: u32 = 22;
    pub(in super::super) const PHASE_CORRECTION: u32 = 24;
    /// What is measured for other ends than the image: navigator, phase correction, feedback,
    /// dummy, coil correction, phase stabilisation.
    pub(in super::super) const OTHER: [u32; 8] = [23, 24, 26, 27, 28, 29, 30, 31];
    /// What the flags from 1 on are called.
    pub(in super::super) const NAMES: [&str; 31] = [
        "first in encode step 1",
        "last in encode step 1",
        "first in encode step 2",
        "last in encode step 2",
        "first in average",
        "last in average",
        "first in slice",
        "last in slice",
        "first in contrast",
        "last in contrast",
        "first in phase",
        "last in phase",
        "first in repetition",
        "last in repetition",
        "first in set",
        "last in set",
        "first in segment",
        "last in segment",
        "noise measurement",
        "parallel calibration",
        "parallel calibration and imaging",
        "reverse",
        "navigation data",
        "phase correction data",
        "last in measurement",
        "HP feedback data",
        "dummy scan data",
        "RT feedback data",
        "surface coil correction",
        "phase stabilization reference",
        "phase stabilization",
    ];
}

/// The counters that separate one image from another, in the order of [`Acquisition::image`].
pub(super) const IMAGE_COUNTERS: [&str; 6] = ["slice", "contrast", "phase", "repetition", "set", "average"];
/// Which of them is that of averages.
pub(super) const AVERAGE: usize = 5;

/// Where a line was acquired, as the record has it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Place {
    pub position: [f32; 3],
    pub read: [f32; 3],
    pub phase: [f32; 3],
    pub slice: [f32; 3],
}

/// One line.
pub(super) struct Acquisition<'a> {
    pub flags: u64,
    pub samples: usize,
    pub channels: usize,
    pub discard_pre: usize,
    pub discard_post: usize,
    pub centre_sample: usize,
    pub encoding: usize,
    pub line: usize,
    pub partition: usize,
    pub image: [usize; 6],
    pub segment: usize,
    /// Dwell time in µs; 0 where it is not known.
    pub sample_time: f64,
    pub place: Place,
    /// Coordinates of each sample; 0 without a trajectory.
    pub trajectory_dims: usize,
    /// f32 pairs, sample fastest, then channel.
    data: &'a [u8],
    /// f32, dimension fastest, then sample.
    trajectory: &'a [u8],
}

impl Acquisition<'_> {
    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags >> (flag - 1) & 1 == 1
    }

    /// One sample of one channel; the caller keeps to `channels` and `samples`.
    pub(super) fn value(&self, channel: usize, sample: usize) -> Complex32 {
        let at = 2 * (channel * self.samples + sample);
        Complex32::new(float(self.data, at), float(self.data, at + 1))
    }

    /// A coordinate of one sample; the caller keeps to `samples` and `trajectory_dims`.
    pub(super) fn coordinate(&self, sample: usize, dim: usize) -> f32 {
        float(self.trajectory, sample * self.trajectory_dims + dim)
    }
}

/// The f32 at this index.
fn float(bytes: &[u8], index: usize) -> f32 {
    f32::from_bits(little_endian(&bytes[4 * index..4 * index + 4]) as u32)
}

/// Where a number lies in a record.
#[derive(Clone, Copy)]
struct Field {
    offset: usize,
    size: usize,
}

impl Field {
    fn read(self, record: &[u8]) -> usize {
        little_endian(&record[self.offset..self.offset + self.size]) as usize
    }
}

/// Where in a record lies what is read of it.
pub(super) struct Layout {
    size: usize,
    flags: Field,
    samples: Field,
    channels: Field,
    discard_pre: Field,
    discard_post: Field,
    centre_sample: Field,
    encoding: Field,
    line: Field,
    partition: Field,
    image: [Field; 5],
    average: Option<Field>,
    segment: Option<Field>,
    sample_time: Option<usize>,
    /// Offsets of position, read, phase and slice direction.
    place: Option<[usize; 4]>,
    /// Where the reference to the samples lies.
    data_at: usize,
    /// The number of dimensions, and where the reference to the coordinates lies.
    trajectory: Option<(Field, usize)>,
}

impl Layout {
    /// The layout of records of this type; `reference_size` is that of a reference into the heap. The trajectory is looked for
    /// only where it is asked for.
    pub(super) fn of(datatype: &Datatype, reference_size: usize, with_trajectory: bool) -> Result<Layout, String> {
        let size = datatype.type_size() as usize;
        let (head_at, head) = member(datatype, "head")?;
        let (data_at, data_type) = member(datatype, "data")?;
        let (idx_at, idx) = member(head, "idx")?;
        if !is_vlen_f32(data_type) {
            return Err("the member 'data' is not variable-length little-endian f4".into());
        }
        if data_at + reference_size > size {
            return Err("the member 'data' reaches beyond its record".into());
        }
        let trajectory = if with_trajectory { trajectory(datatype, head, head_at, reference_size)? } else { None };
        let top = |name: &str| field(head, head_at, name, size);
        let counter = |name: &str| field(idx, head_at + idx_at, name, size);
        let floats = |name: &str, bytes: u32| {
            let found = member(head, name).ok().filter(|(_, t)| t.type_size() == bytes && is_f32(t));
            found.map(|(at, _)| head_at + at).filter(|at| at + bytes as usize <= size)
        };
        let place = ["position", "read_dir", "phase_dir", "slice_dir"].map(|name| floats(name, 12));
        let mut image = [top("flags")?; 5];
        for (place, name) in image.iter_mut().zip(IMAGE_COUNTERS) {
            *place = counter(name)?;
        }
        Ok(Layout {
            size,
            flags: top("flags")?,
            samples: top("number_of_samples")?,
            channels: top("active_channels")?,
            discard_pre: top("discard_pre")?,
            discard_post: top("discard_post")?,
            centre_sample: top("center_sample")?,
            encoding: top("encoding_space_ref")?,
            line: counter("kspace_encode_step_1")?,
            partition: counter("kspace_encode_step_2")?,
            image,
            average: counter("average").ok(),
            segment: counter("segment").ok(),
            sample_time: floats("sample_time_us", 4),
            place: match place {
                [Some(a), Some(b), Some(c), Some(d)] => Some([a, b, c, d]),
                _ => None,
            },
            data_at,
            trajectory,
        })
    }

    /// Splits the raw table into acquisitions, resolving their samples and trajectories.
    pub(super) fn acquisitions<'a>(
        &self,
        table: &[u8],
        heap: &mut GlobalHeap<'a>,
    ) -> Result<Vec<Acquisition<'a>>, String> {
        let records = table.chunks_exact(self.size).enumerate();
        records
            .map(|(number, record)| self.acquisition(record, heap).map_err(|e| format!("acquisition {number}: {e}")))
            .collect()
    }

    fn acquisition<'a>(&self, record: &[u8], heap: &mut GlobalHeap<'a>) -> Result<Acquisition<'a>, String> {
        let (samples, channels) = (self.samples.read(record), self.channels.read(record));
        let data = heap.resolve(&record[self.data_at..], 4)?;
        // Both are 16-bit numbers in the format; a file may claim wider fields.
        if samples.max(channels) > usize::from(u16::MAX) {
            return Err(format!("{channels} channels of {samples} samples; at most 65535 of each"));
        }
        if data.len() != 8 * samples * channels {
            return Err(format!(
                "{channels} channels of {samples} samples need {} bytes, it has {}",
                8 * samples * channels,
                data.len()
            ));
        }
        let (trajectory_dims, trajectory) = match self.trajectory {
            Some((dims, at)) => (dims.read(record), heap.resolve(&record[at..], 4)?),
            None => (0, &[][..]),
        };
        if trajectory_dims > usize::from(u16::MAX) || trajectory.len() != 4 * samples * trajectory_dims {
            return Err(format!(
                "a trajectory of {trajectory_dims} dimensions and {samples} samples needs {} numbers, it has {}",
                samples.saturating_mul(trajectory_dims),
                trajectory.len() / 4
            ));
        }
        Ok(Acquisition {
            flags: self.flags.read(record) as u64,
            samples,
            channels,
            discard_pre: self.discard_pre.read(record),
            discard_post: self.discard_post.read(record),
            centre_sample: self.centre_sample.read(record),
            encoding: self.encoding.read(record),
            line: self.line.read(record),
            partition: self.partition.read(record),
            image: {
                let [slice, contrast, phase, repetition, set] = self.image.map(|field| field.read(record));
                [slice, contrast, phase, repetition, set, self.average.map_or(0, |f| f.read(record))]
            },
            segment: self.segment.map_or(0, |f| f.read(record)),
            sample_time: self.sample_time.map_or(0.0, |at| float(&record[at..], 0).into()),
            place: self.place.map_or_else(Place::default, |at| {
                let [position, read, phase, slice] = at.map(|at| [0, 1, 2].map(|i| float(&record[at..], i)));
                Place { position, read, phase, slice }
            }),
            trajectory_dims,
            data,
            trajectory,
        })
    }
}

/// The field that counts a trajectory's dimensions, and where the reference to its values lies; `None` in records without.
fn trajectory(
    datatype: &Datatype,
    head: &Datatype,
    head_at: usize,
    reference: usize,
) -> Result<Option<(Field, usize)>, String> {
    let size = datatype.type_size() as usize;
    let (Ok((at, values)), Ok(dims)) = (member(datatype, "traj"), field(head, head_at, "trajectory_dimensions", size))
    else {
        return Ok(None);
    };
    if !is_vlen_f32(values) || at + reference > size {
        return Err("the member 'traj' is not variable-length little-endian f4".into());
    }
    Ok(Some((dims, at)))
}

/// Offset and type of a member of a compound type.
fn member<'t>(datatype: &'t Datatype, name: &str) -> Result<(usize, &'t Datatype), String> {
    let Datatype::Compound { members, .. } = datatype else {
        return Err("the table 'data' does not hold ISMRMRD acquisition records".into());
    };
    members
        .iter()
        .find(|m| m.name == name)
        .map(|m| (m.byte_offset as usize, &m.datatype))
        .ok_or_else(|| format!("the acquisition records have no member '{name}'"))
}

fn field(parent: &Datatype, base: usize, name: &str, record: usize) -> Result<Field, String> {
    let (offset, datatype) = member(parent, name)?;
    let little = matches!(datatype, Datatype::FixedPoint { byte_order: DatatypeByteOrder::LittleEndian, .. });
    let field = Field { offset: base + offset, size: datatype.type_size() as usize };
    if !little || field.size > 8 || field.offset + field.size > record {
        return Err(format!("the member '{name}' is not a little-endian integer"));
    }
    Ok(field)
}

/// f32, or an array of them.
fn is_f32(datatype: &Datatype) -> bool {
    match datatype {
        Datatype::Array { base_type, .. } => is_f32(base_type),
        other => {
            matches!(other, Datatype::FloatingPoint { size: 4, byte_order: DatatypeByteOrder::LittleEndian, .. })
        }
    }
}

fn is_vlen_f32(datatype: &Datatype) -> bool {
    let Datatype::VariableLength { base_type, .. } = datatype else {
        return false;
    };
    matches!(**base_type, Datatype::FloatingPoint { size: 4, byte_order: DatatypeByteOrder::LittleEndian, .. })
}
