//! The angles of a scan, from a file or a range.

use super::{Args, unit};
use crate::cli::input;
use crate::cli::kspace::exact;
use crate::cli::printer::short;
use crate::cli::warnings::Warnings;
use linops::app::ct::{AngleUnit, Angles};
use linops::io::Format;
use linops::{Error, Result};
use std::path::{Path, PathBuf};

/// Where angles are from.
#[derive(Clone, Debug, PartialEq)]
pub enum AngleList {
    File(PathBuf),
    /// From, to, how many.
    Range(f64, f64, usize),
}

/// A text file of angles is no longer.
const MOST_BYTES: u64 = 64 << 20;

/// What is expected.
const RANGE: &str = "expected a file, or START:STOP:COUNT such as 0:180:360, with STOP not included";

impl AngleList {
    pub fn parse(text: &str) -> Result<AngleList, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let number = |text: &str| text.trim().parse().ok().filter(|v: &f64| v.is_finite());
        let [start, stop, count] = parts[..] else {
            // Numbers with colons between them are no file.
            return match parts.len() > 1 && parts.iter().all(|p| number(p).is_some()) {
                true => Err(RANGE.into()),
                false => Ok(AngleList::File(text.into())),
            };
        };
        match (number(start), number(stop), count.trim().parse().ok().filter(|n| (1..=1_000_000).contains(n))) {
            (Some(start), Some(stop), Some(count)) if start != stop => Ok(AngleList::Range(start, stop, count)),
            // A path with colons, as on Windows.
            (None, _, _) if Path::new(text).exists() => Ok(AngleList::File(text.into())),
            _ => Err(RANGE.into()),
        }
    }

    pub fn file(&self) -> Option<&Path> {
        match self {
            AngleList::File(path) => Some(path),
            AngleList::Range(..) => None,
        }
    }

    /// The angles as they are given.
    fn values(&self) -> Result<Vec<f64>> {
        match self {
            AngleList::Range(start, stop, count) => {
                Ok((0..*count).map(|k| start + (stop - start) * k as f64 / *count as f64).collect())
            }
            AngleList::File(path) => {
                let values = match Format::of(path) {
                    Some(_) => numbers(path)?,
                    None => words(path)?,
                };
                match values.iter().position(|v| !v.is_finite()) {
                    Some(at) => Err(Error::file(path, format!("angle {at} is NaN, infinite or not real"))),
                    None => Ok(values),
                }
            }
        }
    }
}

/// The values of an array of one axis.
fn numbers(path: &Path) -> Result<Vec<f64>> {
    let array = exact(input::read(path)?);
    if array.shape().iter().filter(|n| **n > 1).count() > 1 {
        return Err(Error::file(
            path,
            format!("angles of shape {:?}; expected one axis, an angle for each view", array.shape()),
        ));
    }
    Ok(array.into_iter().collect())
}

/// The numbers of a text, apart by blanks, commas, semicolons or lines; what stands behind # is a remark.
fn words(path: &Path) -> Result<Vec<f64>> {
    let failed = |e: std::io::Error| Error::file(path, format!("cannot read: {e}"));
    let about = path.metadata().map_err(failed)?;
    if !about.is_file() || about.len() > MOST_BYTES {
        return Err(Error::file(path, "is no file of angles: expected .npy, or a text of numbers"));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let mut values = Vec::new();
    for (line, text) in text.lines().enumerate() {
        let text = text.split('#').next().unwrap_or_default();
        for word in text.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|w| !w.is_empty()) {
            let value = word.parse().map_err(|_| {
                Error::file(
                    path,
                    format!("line {}: \"{word}\" is no number; expected angles, apart by blanks or lines", line + 1),
                )
            })?;
            values.push(value);
        }
    }
    match values.is_empty() {
        true => Err(Error::file(path, "holds no angles")),
        false => Ok(values),
    }
}

/// Angles as they were given, and in radians.
pub struct Given {
    pub values: Vec<f64>,
    pub unit: AngleUnit,
    pub radians: Vec<f64>,
}

pub fn read(args: &Args, warnings: &Warnings) -> Result<Given> {
    let values = args.angles.values()?;
    let told = AngleUnit::told_by(&values);
    let unit = unit(args).unwrap_or(told);
    if told == AngleUnit::Radians && args.angle_units.is_none() {
        warnings
            .say("the angles lie within ±2π and are taken for radians; --angle-units degrees if they are not".into());
    }
    Ok(Given { radians: unit.radians(&values), values, unit })
}

/// What the angles are, in a line; what is missing goes to the notes.
pub fn describe(given: &Given, parallel: bool, direct: bool, notes: &mut Vec<String>) -> Result<String> {
    let about = Angles::of(&given.radians, parallel)?;
    let name = if given.unit == AngleUnit::Degrees { "degrees" } else { "radians" };
    let (low, high) = given.values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), a| (l.min(*a), h.max(*a)));
    let step = if given.unit == AngleUnit::Degrees { about.spacing.to_degrees() } else { about.spacing };
    let missing = about.missing.to_degrees();
    if missing > 0.5 {
        let circle = if parallel { "half turn" } else { "turn" };
        // A back-projection is a sum over the views, and around the middle of what is round they all count the same.
        let dark = match parallel && direct {
            true => format!(
                ": fbp shows what is round at about {:.0} % of its value; --method cg or --reg tv do not",
                100.0 * (1.0 - missing / 180.0)
            ),
            false => String::new(),
        };
        notes.push(format!("{missing:.1} degrees of the {circle} are missing{dark}"));
    }
    let uneven = if about.uneven { ", uneven: views count by the angles around them" } else { "" };
    Ok(match given.values.len() {
        1 => format!("1, at {} {name}", short(low)),
        n => format!("{n}, {} to {} {name}, {} apart{uneven}", short(low), short(high), short(step)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_leave_out_their_end() {
        let range = AngleList::parse("0:180:4").unwrap();
        assert_eq!(range.values().unwrap(), [0.0, 45.0, 90.0, 135.0]);
        assert_eq!(AngleList::parse("-90:90:2").unwrap().values().unwrap(), [-90.0, 0.0]);
        assert_eq!(AngleList::parse("a.npy").unwrap(), AngleList::File("a.npy".into()));
        for text in ["0:180:0", "0:180:x", "0:0:5", "0:180:1e9", "::"] {
            assert!(AngleList::parse(text).is_err(), "{text}");
        }
    }
}
