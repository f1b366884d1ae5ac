//! The model of frames along trajectories of their own: all as arrays of one shape, where what a frame has less of has the weight 0.

use super::ESTIMATING;
use super::density::Density;
use super::field::Scales;
use super::geometry::image_dims;
use super::maps::{Shading, evened};
use super::noncartesian::{more, strongest};
use super::report::Job;
use super::sampled::Frame;
use super::series::Frames;
use super::weight::Usual;
use crate::cli::coil_maps;
use crate::cli::common::expect_bytes;
use crate::cli::kspace::finite;
use crate::cli::printer::count_of;
use crate::cli::progress;
use linops::app::series::Series;
use linops::io::Whitening;
use linops::{Error, Result};
use ndarray::{ArrayD, Axis, IxDyn, Slice};
use num_complex::Complex32;

/// Frames, and what they are solved on.
pub(super) struct Along {
    pub frames: Vec<Frame>,
    /// Pixels of the solve.
    pub matrix: Vec<usize>,
    /// Those of it that the image has, where it is cut.
    pub image: Option<Vec<usize>>,
    pub scales: Scales,
}

/// Coil maps, and what becomes of an image of them.
struct Maps {
    values: ArrayD<Complex32>,
    from: String,
    shading: Option<Shading>,
    /// The largest sum of squares over the coils beside one that is even.
    even: f32,
}

/// The samples of all frames.
struct Packed {
    /// (time, coil, …)
    kspace: ArrayD<Complex32>,
    /// (time, …, D)
    trajectory: ArrayD<f64>,
    /// (time, …), 0 where a sample does not count.
    density: ArrayD<f64>,
}

impl Along {
    pub fn new(frames: Vec<Frame>, matrix: Vec<usize>) -> Along {
        Along { frames, matrix, image: None, scales: Scales { maps: 1.0, density: 1.0 } }
    }

    /// The model with maps that were given or are estimated; the frames of a scan are those of a counter.
    pub fn model(self, job: &Job, maps: Option<ArrayD<Complex32>>, counter: Option<&str>) -> Result<Frames> {
        let own = &job.args.noncartesian;
        let packed = self.packed(job)?;
        let Packed { kspace, trajectory, density } = &packed;
        let Some(first) = self.frames.first().map(|frame| &frame.samples) else {
            return Err(Error::Value("the series has no frames".into()));
        };
        let (info, mut notes) = (first.info.clone(), first.notes.clone());
        let bad: usize = self.frames.iter().map(|frame| frame.values_lost).sum();
        if bad > 0 {
            notes.push(format!("{} NaN or infinite, set to 0", count_of(bad, "value")));
        }
        let whitening = info.as_ref().and_then(|info| info.whitening.as_ref());
        let maps = match maps {
            Some(maps) => self.given(job, maps, whitening, &mut notes)?,
            None => self.estimated(job, &packed, whitening)?,
        };
        let count = |frame: &Frame| frame.samples.trajectory.len() / self.matrix.len() - frame.bad.len();
        let least = self.frames.iter().map(count).min().unwrap_or(0);
        let most = self.frames.iter().map(count).max().unwrap_or(0);
        let each = if least < most { format!("{least} to {most}") } else { most.to_string() };
        let frames = count_of(self.frames.len(), "frame");
        let said = match (&info, counter) {
            (Some(info), Some(counter)) => format!("{}; {frames} by {counter}, {each} samples each", info.summary),
            _ => format!("{frames}, {}, {each} samples each", count_of(kspace.len_of(Axis(1)), "coil")),
        };
        let units = format!("trajectory {}", first.units);
        let facts = vec![
            ("k-space", [vec![said, units], notes].concat().join("; ")),
            ("maps", maps.from),
            ("dcf", own.dcf().describe()),
        ];
        let values = if self.image.is_none() { maps.values } else { maps.values * Complex32::from(self.scales.maps) };
        let series = Series::samples(values.view(), trajectory.view(), density.view(), own.nufft())?;
        let axes = image_dims(self.matrix.len());
        let (even, shading) = (maps.even, maps.shading);
        Ok(Frames { kspace: packed.kspace, series, axes, facts, usual: Usual::default(), even, info, shading })
    }

    fn given(
        &self,
        job: &Job,
        mut values: ArrayD<Complex32>,
        whitening: Option<&Whitening>,
        notes: &mut Vec<String>,
    ) -> Result<Maps> {
        let Some(path) = &job.args.maps else { return Err(Error::Value("coil maps without a file".into())) };
        let bad = finite(path, &mut values, &["coil"], job.args.allow_nan)?;
        if !bad.is_empty() {
            notes.push(format!("{} of the maps NaN or infinite, set to 0", count_of(bad.len(), "value")));
        }
        let (mut from, mut shading, mut even) = (format!("from {}", path.display()), None, 1.0);
        if let Some(whitening) = whitening {
            whitening.apply(values.view_mut()).map_err(|e| Error::file(path, e.to_string()))?;
            shading = Some(Shading::Even(evened(&mut values)));
            even = strongest(&values) / more(self.image.as_deref(), &self.matrix);
            from += ", pre-whitened as k-space is";
        }
        Ok(Maps { values, from, shading, even })
    }

    /// Those of all frames as one scan.
    fn estimated(&self, job: &Job, packed: &Packed, whitening: Option<&Whitening>) -> Result<Maps> {
        let Packed { kspace, trajectory, density } = packed;
        if kspace.len_of(Axis(1)) == 1 {
            let values = ArrayD::from_elem([&[1], self.matrix.as_slice()].concat(), Complex32::from(1.0));
            let from = "1 everywhere, as there is one coil".into();
            return Ok(Maps { values, from, shading: None, even: 1.0 });
        }
        // (coil, time, …)
        let mut order: Vec<usize> = (0..kspace.ndim()).collect();
        order.swap(0, 1);
        let one = kspace.view().permuted_axes(IxDyn(&order)).as_standard_layout().into_owned();
        let weights = density.mapv(|w| w / self.frames.len() as f64);
        let (nufft, usual) = (job.args.noncartesian.nufft(), coil_maps::usual);
        let wait = progress::spinner("estimating coil maps");
        let found = coil_maps::of_samples(
            one.view(),
            trajectory.view(),
            weights.view(),
            &self.matrix,
            nufft,
            job.device,
            usual,
        );
        wait.finish_and_clear();
        let found = found.map_err(|e| e.at(ESTIMATING))?;
        let values = found.set(0)?;
        let shading = whitening.map(|whitening| whitening.shading(values.view())).transpose()?.map(Shading::At);
        Ok(Maps { values, from: format!("estimated from all frames by {}", found.method), shading, even: 1.0 })
    }

    fn packed(&self, job: &Job) -> Result<Packed> {
        let method = job.args.noncartesian.dcf();
        let shape = |frame: &Frame| frame.samples.values.shape().to_vec();
        let first = self.frames.first().map(shape).unwrap_or_default();
        let most = self
            .frames
            .iter()
            .map(shape)
            .fold(first, |most, own| most.iter().zip(&own).map(|(a, b)| *a.max(b)).collect());
        let Some((coils, most)) = most.split_first() else {
            return Err(Error::Value("the frames have no axes".into()));
        };
        let bytes = most.iter().fold(8 * (coils * self.frames.len()) as u64, |n, e| n.saturating_mul(*e as u64));
        expect_bytes(bytes, || format!("a series of {}", count_of(self.frames.len(), "frame")))?;
        let kspace = stacked(self.frames.iter().map(|f| &f.samples.values), &[&[*coils], most].concat());
        let trajectory =
            stacked(self.frames.iter().map(|f| &f.samples.trajectory), &[most, &[self.matrix.len()]].concat());
        let mut density = match &method {
            Density::File(_) => method.weights(trajectory.view(), &self.matrix, job.device)?,
            _ => {
                // In cycles of the image's field of view.
                let scale = if method == Density::None { 1.0 } else { self.scales.density };
                let weights = |f: &Frame| method.weights(f.samples.trajectory.view(), &self.matrix, job.device);
                let each = self.frames.iter().map(|f| Ok(weights(f)? * scale)).collect::<Result<Vec<_>>>()?;
                stacked(each.iter(), most)
            }
        };
        for (mut weights, frame) in density.outer_iter_mut().zip(&self.frames) {
            // What a file says of samples that a frame does not have counts for nothing.
            for (axis, n) in frame.samples.values.shape()[1..].iter().enumerate() {
                weights.slice_axis_mut(Axis(axis), Slice::from(*n..)).fill(0.0);
            }
            frame.bad.iter().for_each(|at| weights[IxDyn(at)] = 0.0);
        }
        Ok(Packed { kspace, trajectory, density })
    }
}

/// Arrays as one with another axis in front, with zeros behind what one has less of.
fn stacked<'a, T: Clone + Default + 'a>(
    parts: impl ExactSizeIterator<Item = &'a ArrayD<T>>,
    extents: &[usize],
) -> ArrayD<T> {
    let mut all = ArrayD::from_elem([&[parts.len()], extents].concat(), T::default());
    for (mut to, part) in all.outer_iter_mut().zip(parts) {
        let mut place = to.view_mut();
        for (axis, n) in part.shape().iter().enumerate() {
            place.slice_axis_inplace(Axis(axis), Slice::from(..*n));
        }
        place.assign(part);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_frame_has_less_of_is_zero() {
        let [long, short] = [3, 2].map(|n| ArrayD::from_elem(vec![n, 2], 1.0 + n as f64));
        let all = stacked([&long, &short].into_iter(), &[3, 2]);
        assert_eq!((all[[0, 2, 1]], all[[1, 1, 0]], all[[1, 2, 0]]), (4.0, 3.0, 0.0));
    }
}
