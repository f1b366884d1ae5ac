//! Units and order of trajectories.

use crate::cli::printer::short;
use crate::cli::warnings::Warnings;
use linops::app::noncartesian::{TrajectoryUnits, recognised_units};
use linops::{Error, Result};
use ndarray::{ArrayD, Axis};
use std::path::Path;

#[derive(clap::Args, Debug, Default, Clone)]
#[command(next_help_heading = "Units of trajectories")]
#[group(skip)]
pub struct Units {
    /// Units of the trajectory: cycles (per field of view, ±N/2), pixel (cycles per pixel, ±0.5), rad (per pixel, ±π), 1/m or rad/m (with
    /// --fov) [default: cycles]
    #[arg(long, value_name = "UNITS", value_parser = |t: &str| t.parse::<TrajectoryUnits>().map_err(|e| e.to_string()))]
    traj_units: Option<TrajectoryUnits>,

    /// Field of view in mm, of all axes or of each in the order of the image's, as 300 or 300x240
    #[arg(long, value_name = "MM", value_parser = fov)]
    fov: Option<Fov>,

    /// Order of the coordinates in --traj: yx (or zyx), that of the image's axes, or xy (or xyz) [default: that of the image's axes, of
    /// BART files xyz]
    #[arg(long, value_name = "ORDER", requires = "traj", value_enum)]
    pub traj_order: Option<Order>,
}

/// The order of coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    #[value(alias = "zyx")]
    Yx,
    #[value(alias = "xyz")]
    Xy,
}

#[derive(Debug, Clone, PartialEq)]
struct Fov(Vec<f64>);

fn fov(text: &str) -> Result<Fov, String> {
    let sides: Option<Vec<f64>> =
        text.split(['x', ',']).map(|n| n.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0)).collect();
    let sides = sides.filter(|sides| (1..=3).contains(&sides.len()));
    sides.map(Fov).ok_or_else(|| "expected 1 to 3 lengths in mm, such as 300 or 300x240".into())
}

impl Units {
    /// The first option that was given.
    pub fn given(&self) -> Option<&'static str> {
        let all = [("--traj-units", self.traj_units.is_some()), ("--fov", self.fov.is_some())];
        all.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }

    /// Refuses what means nothing for Cartesian data.
    pub fn expect_none(&self, file: &Path) -> Result<()> {
        match self.given() {
            Some(name) => Err(Error::file(file, format!("{name} is for trajectories, and this is Cartesian"))),
            None => Ok(()),
        }
    }

    /// Refuses what means nothing for a scan with a trajectory of its own.
    pub fn expect_own(&self, file: &Path) -> Result<()> {
        match self.traj_units.is_some() || self.fov.is_some() {
            true => {
                let message = "--traj-units and --fov are for a trajectory given by --traj; that of the file is told by its header";
                Err(Error::file(file, message))
            }
            false => Ok(()),
        }
    }

    fn fov(&self, d: usize) -> Result<Option<Vec<f64>>> {
        match self.fov.as_ref().map(|f| f.0.as_slice()) {
            None => Ok(None),
            Some([mm]) => Ok(Some(vec![*mm; d])),
            Some(sides) if sides.len() == d => Ok(Some(sides.to_vec())),
            Some(sides) => {
                let n = sides.len();
                Err(Error::Value(format!("--fov has {n} lengths, expected {d} or one for all: the image has {d} axes")))
            }
        }
    }

    /// Brings a trajectory (…, D) to cycles per field of view for an image of these extents, if they are known; says what it was
    /// taken for. Without --traj-units it is in cycles unless its reach plainly says otherwise.
    pub fn to_cycles(
        &self,
        trajectory: &mut ArrayD<f64>,
        said: &mut String,
        matrix: Option<&[usize]>,
        warnings: &Warnings,
    ) -> Result<()> {
        let last = Axis(trajectory.ndim().saturating_sub(1));
        let d = trajectory.len_of(last);
        let fov = self.fov(d)?;
        let units = match self.traj_units {
            Some(units) => units,
            None if matrix.is_none() && fov.is_some() => {
                return Err(Error::Value(
                    "--fov is for trajectories in 1/m or rad/m: say which by --traj-units, or leave --fov out".into(),
                ));
            }
            None => {
                let seen = recognised_units(trajectory.view(), matrix, fov.as_deref());
                let Some(seen) = seen else { return Ok(()) };
                let reach = short(reach(trajectory));
                let name = if seen == TrajectoryUnits::Radians { "rad" } else { "1/m or rad/m" };
                if matrix.is_none() {
                    return Err(Error::Value(format!(
                        "the trajectory reaches {reach}, as one in {seen} does; give --matrix N and --traj-units {name}, or \
                         --matrix 8 and --traj-units cycles"
                    )));
                }
                warnings.say(format!(
                    "the trajectory reaches {reach} and is taken to be in {seen}, as the image says; --traj-units {name} says so, \
                     --traj-units cycles that it is not"
                ));
                seen
            }
        };
        if units == TrajectoryUnits::Cycles {
            return Ok(());
        }
        let factors = units.factors(d, matrix, fov.as_deref())?;
        let most = match units {
            TrajectoryUnits::Pixel => 0.5,
            TrajectoryUnits::Radians => std::f64::consts::PI,
            _ => f64::INFINITY,
        };
        if reach(trajectory) > 1.5 * most {
            let (reach, most) = (short(reach(trajectory)), short(most));
            return Err(Error::Value(format!("the trajectory reaches {reach}, and one in {units} at most {most}")));
        }
        for (mut k, factor) in trajectory.axis_iter_mut(last).zip(&factors) {
            k.mapv_inplace(|v| v * factor);
        }
        *said = format!("{units}, now {said}");
        if let (None, Some(fov)) = (matrix, &fov) {
            let mm: Vec<String> = fov.iter().map(|mm| short(*mm)).collect();
            *said = format!("{said}; the image has the pixels that its reach asks for over {} mm", mm.join(" x "));
        }
        Ok(())
    }

    /// Refuses a trajectory of whose extents nothing but its reach tells, if its samples lie such that no image has them: several
    /// cycles per field of view apart, or many to one. `said` is in what units it was taken.
    pub fn expect_steps(&self, trajectory: &ArrayD<f64>, said: &str) -> Result<()> {
        /// A readout with fewer samples folds; one sample a cycle is a full one.
        const FAR: f64 = 1.5;
        /// Two to four times oversampled is usual.
        const NEAR: f64 = 0.12;
        if reach(trajectory) <= 0.5 {
            return match self.fov {
                Some(_) => {
                    let message = "all coordinates lie within ±0.5 cycles per field of view; --fov is in mm, as 300";
                    Err(Error::Value(message.into()))
                }
                // What is in other units then is told with the extents.
                None => Ok(()),
            };
        }
        let Some(step) = even_step(trajectory).filter(|step| !(NEAR..=FAR).contains(step)) else { return Ok(()) };
        let (reach, step) = (short(reach(trajectory)), short(step));
        Err(Error::Value(format!(
            "the trajectory, taken to be in {said}, reaches {reach} with samples {step} apart, where one or two for each cycle per field \
             of view are usual: it is in other units; give --traj-units pixel or rad with --matrix N, 1/m or rad/m with --fov MM, or \
             --matrix N if it is right"
        )))
    }

    /// Warns of a trajectory in cycles that reaches far less than the image's extents ask for.
    pub fn warn_of_reach(&self, trajectory: &ArrayD<f64>, matrix: &[usize], warnings: &Warnings) {
        let reach = reach(trajectory);
        let half = matrix.iter().fold(0.0f64, |a, n| a.max(*n as f64 / 2.0));
        if reach < 0.3 * half {
            warnings.say_cause(format!(
                "the trajectory reaches {} cycles per field of view, an image of {matrix:?} asks for {half}: it shows no more detail \
                 than one of {}; is it in other units? See --traj-units cycles|pixel|rad|1/m|rad/m",
                short(reach),
                2 * reach.ceil() as usize
            ));
        }
    }
}

/// The distance of consecutive samples along the last axis but one of a trajectory (…, D), where most have about the same.
fn even_step(trajectory: &ArrayD<f64>) -> Option<f64> {
    let samples = Axis(trajectory.ndim().checked_sub(2)?);
    let n = trajectory.len_of(samples);
    if n < 8 {
        return None;
    }
    let ahead = trajectory.slice_axis(samples, (1..n).into());
    let behind = trajectory.slice_axis(samples, (0..n - 1).into());
    let squares = (&ahead - &behind).mapv(|d| d * d).sum_axis(Axis(trajectory.ndim() - 1));
    let mut steps: Vec<f64> = squares.iter().map(|s| s.sqrt()).collect();
    steps.sort_by(f64::total_cmp);
    let middle = steps[steps.len() / 2];
    let alike = steps.iter().filter(|s| (0.8 * middle..=1.25 * middle).contains(*s)).count();
    (middle > 0.0 && 10 * alike >= 8 * steps.len()).then_some(middle)
}

fn reach(trajectory: &ArrayD<f64>) -> f64 {
    trajectory.iter().fold(0.0f64, |r, k| r.max(k.abs()))
}
