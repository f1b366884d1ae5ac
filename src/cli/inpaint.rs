//! `linops inpaint`: the gaps of a picture, filled from what is known.

use super::common::Common;
use super::denoise::{SolvingArgs, Task, expect_weights};
use super::output;
use super::pictures::{Image, PictureArgs};
use super::printer::Printer;
use super::regularise::Regularise;
use super::warnings::Warnings;
use clap::ValueEnum;
use linops::{Error, Result};
use ndarray::ArrayD;
use std::path::{Path, PathBuf};

/// Fill the gaps of a picture
///
/// Minimises ½‖M(x − y)‖² + Σ λᵢRᵢ(x) for a picture y and the mask M of what is known of it, each channel for itself. Without --reg R
/// is total variation. A weight that is not given is the one by which x is expected to be nearest to the picture without its noise σ
/// where y is known (Stein's unbiased estimate of the risk): known samples lose their noise as by `denoise`, and gaps are filled by the same weight; --keep-known has them as
/// they were. σ is estimated from what is known; without noise the weight is 2e-4 of the largest value.
#[derive(clap::Args)]
pub struct Args {
    /// The picture: .npy, .npz, .png or .tif, (row, column) or (plane, row, column), in any units
    image: PathBuf,

    /// What is known of it: .npy, .png or .tif of the picture's extents, or of its rows and columns for each plane of a stack. NaN and
    /// infinite samples of the picture are not known in any case [default: these only]
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,

    /// What the mask marks by values other than 0
    #[arg(long, default_value = "known", requires = "mask")]
    mask_marks: Marks,

    /// Put known samples back as they were
    #[arg(long)]
    keep_known: bool,

    #[command(flatten)]
    picture: PictureArgs,

    #[command(flatten)]
    solving: SolvingArgs,

    #[command(flatten)]
    pub common: Common,

    #[command(flatten)]
    regularise: Regularise,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Marks {
    Known,
    Missing,
}

impl Args {
    /// What shows without a look at any file.
    pub fn check(&self) -> Result<(), String> {
        self.picture.check()?;
        expect_weights(&self.regularise)
    }
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let inputs = [Some(args.image.as_path()), args.mask.as_deref()];
    let target = output::reserve(&args.picture.output, args.picture.force, &inputs)?;
    let image = Image::read(&args.image, &args.picture)?;
    image.expect_writable(&target)?;
    let mut known = match &args.mask {
        Some(path) => read_mask(path, &image, args.mask_marks)?,
        None => ArrayD::ones(image.values().raw_dim()),
    };
    known.zip_mut_with(image.values(), |k, v| *k = if v.is_finite() { *k } else { 0.0 });
    let count = known.iter().filter(|k| **k != 0.0).count();
    let all = known.len();
    if count == 0 {
        let message = "nothing of the picture is known; --mask-marks missing is for masks that mark the gaps";
        return Err(Error::file(args.mask.as_ref().unwrap_or(&args.image), message));
    }
    if count == all {
        let message = match &args.mask {
            Some(_) => "nothing is missing: the mask marks all as known and no sample is NaN",
            None => "nothing is missing: no sample is NaN; give the gaps by --mask",
        };
        return Err(Error::file(&args.image, message));
    }
    let device = args.common.device()?;
    let warnings = Warnings::default();
    printer.field("picture", image.text());
    image.notes.iter().for_each(|note| printer.field("", note));
    image.as_volume().into_iter().for_each(|note| printer.field("", note));
    printer.field("known", format_args!("{count} of {all} samples, {:.1} %", 100.0 * count as f64 / all as f64));
    if 10 * count < all {
        warnings.say("less than a tenth is known; --mask-marks missing is for masks that mark the gaps".into());
    }
    // Gaps that are told as known are of one value, and what lies beside them is the picture.
    let [seen, missing] = [1.0, 0.0].map(|of| range(image.values(), &known, of));
    if let Some([value, _]) = seen.filter(|[low, high]| low == high)
        && (value == 0.0 || missing.is_some_and(|[low, high]| low < high))
    {
        warnings.say(format!(
            "every known sample is {value}, and so is what fills the gaps; --mask-marks says what the mask marks"
        ));
    }
    let task = Task {
        what: "filled",
        image: &image,
        known: &known,
        keep: args.keep_known,
        picture: &args.picture,
        solving: &args.solving,
        regularise: &args.regularise,
        common: &args.common,
        device: &device,
        warnings: &warnings,
    };
    task.run(target, printer)
}

/// Least and largest of the finite samples that are known (1) or missing (0), if there are any.
fn range(picture: &ArrayD<f32>, known: &ArrayD<f32>, of: f32) -> Option<[f32; 2]> {
    let values = picture.iter().zip(known).filter(|(v, k)| **k == of && v.is_finite()).map(|(v, _)| *v);
    values.fold(None, |range, v| {
        let [low, high] = range.unwrap_or([v; 2]);
        Some([low.min(v), high.max(v)])
    })
}

/// 1 where the picture is known, for each of its channels, and for each plane of what the mask has no axes of.
fn read_mask(path: &Path, image: &Image, marks: Marks) -> Result<ArrayD<f32>> {
    let mut mask = Image::read_beside(path, image.space().len())?;
    if image.space().len() > 2 && mask.values().shape() != image.space() {
        // Of other extents than a volume it may be a coloured one for each plane.
        mask = Image::read_beside(path, 2)?;
    }
    if let Some(at) = mask.first_non_finite() {
        return Err(Error::file(path, format!("the mask is NaN or infinite at {at:?}; expected 0 and other numbers")));
    }
    let known = mask.values().mapv(|v| f32::from((v != 0.0) == (marks == Marks::Known)));
    let (wanted, space) = (image.values().raw_dim(), image.space());
    if known.shape() == image.values().shape() {
        return Ok(known);
    }
    let of_planes = mask.channels() == 1 && known.ndim() >= 2 && space.ends_with(known.shape());
    let all = known.broadcast(wanted).filter(|_| of_planes).map(|k| k.to_owned());
    all.ok_or_else(|| {
        let (came, want) = (mask.text(), image.text());
        let rows: Vec<String> = space.iter().rev().take(2).rev().map(usize::to_string).collect();
        let rows = rows.join(" x ");
        Error::file(path, format!("a mask of {came}; the picture is {want}; give one of its extents, or of {rows}"))
    })
}
