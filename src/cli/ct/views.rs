//! The projections, from files, in the order and the unit that the model takes.

use super::Args;
use super::scan::Rays;
use crate::cli::input;
use crate::cli::printer::count_of;
use crate::cli::warnings::Warnings;
use linops::app::ct::{Defects, absorption, looks_like_transmission};
use linops::{Error, Result, Shape};
use ndarray::{Array3, ArrayD, Axis, arr1};
use std::path::{Path, PathBuf};

/// Projections (slice or row, angle, detector).
pub struct Views {
    pub values: Array3<f32>,
    /// Whether the image has slices, too.
    pub stack: bool,
}

impl Views {
    /// The shape of the image that is written.
    pub fn shape_of(&self, image: [usize; 3]) -> Result<Shape> {
        shape_of(self.stack, image)
    }
}

/// The shape of the image that is written.
pub fn shape_of(stack: bool, [slices, rows, columns]: [usize; 3]) -> Result<Shape> {
    match stack {
        true => format!("Nz={slices} Ny={rows} Nx={columns}").parse(),
        false => format!("Ny={rows} Nx={columns}").parse(),
    }
}

/// A flat or a dark field.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    Value(f32),
    File(PathBuf),
}

impl Field {
    pub fn parse(text: &str) -> Result<Field, String> {
        match text.parse::<f32>() {
            Ok(value) if value.is_finite() && value >= 0.0 => Ok(Field::Value(value)),
            Ok(_) => Err("expected a file, or an intensity from 0 on".into()),
            Err(_) => Ok(Field::File(text.into())),
        }
    }

    pub fn file(&self) -> Option<&Path> {
        match self {
            Field::File(path) => Some(path),
            Field::Value(_) => None,
        }
    }

    fn values(&self) -> Result<ArrayD<f32>> {
        match self {
            Field::Value(value) => Ok(arr1(&[*value]).into_dyn()),
            Field::File(path) => real(path),
        }
    }
}

/// An axis of the projections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Slice,
    Angle,
    Detector,
}

/// The order of axes as it is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Order(Vec<Name>);

impl Order {
    pub fn parse(text: &str) -> Result<Order, String> {
        let name = |word: &str| match word.trim() {
            "slice" | "row" => Some(Name::Slice),
            "angle" => Some(Name::Angle),
            "detector" | "column" => Some(Name::Detector),
            _ => None,
        };
        let names: Option<Vec<Name>> = text.split(',').map(name).collect();
        let once = |names: &Vec<Name>, name: Name| names.iter().filter(|n| **n == name).count() == 1;
        let good = |names: &Vec<Name>| {
            once(names, Name::Angle)
                && once(names, Name::Detector)
                && (names.len() == 2 || names.len() == 3 && once(names, Name::Slice))
        };
        names
            .filter(good)
            .map(Order)
            .ok_or_else(|| "expected angle,detector or three of slice (or row), angle, detector".into())
    }

    /// Where slices, angles and detector pixels are among axes of these extents.
    fn told_by(extents: &[usize], angles: usize) -> Result<Order, String> {
        let shape = extents.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        let usual: &[Name] = match extents.len() {
            2 => &[Name::Angle, Name::Detector],
            3 => &[Name::Slice, Name::Angle, Name::Detector],
            n => {
                return Err(format!(
                    "projections of {n} axes ({shape}); expected (angle, detector) or (slice, angle, detector)"
                ));
            }
        };
        let fitting: Vec<usize> = (0..extents.len()).filter(|a| extents[*a] == angles).collect();
        match fitting[..] {
            [] => Err(format!(
                "the projections are {shape}, and there are {}; expected an axis with one entry for each of them",
                count_of(angles, "angle")
            )),
            [at] => Ok(match (extents.len(), at) {
                (2, 0) | (3, 1) => Order(usual.to_vec()),
                (2, _) => Order(vec![Name::Detector, Name::Angle]),
                // Pictures as they were taken, one for each angle.
                (_, 0) => Order(vec![Name::Angle, Name::Slice, Name::Detector]),
                _ => Order(vec![Name::Slice, Name::Detector, Name::Angle]),
            }),
            _ => Err(format!(
                "the projections are {shape}, and there are {angles} angles: which axis they are along does not show; give --order {}",
                if extents.len() == 2 { "angle,detector or detector,angle" } else { "slice,angle,detector or another" }
            )),
        }
    }

    fn is_usual(&self) -> bool {
        matches!(self.0[..], [Name::Angle, Name::Detector] | [Name::Slice, Name::Angle, Name::Detector])
    }

    fn words(&self) -> String {
        let word = |n: &Name| match n {
            Name::Slice => "slice",
            Name::Angle => "angle",
            Name::Detector => "detector",
        };
        self.0.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}

/// Real values of a file in single precision.
fn real(path: &Path) -> Result<ArrayD<f32>> {
    input::real(path, input::read(path)?)
}

/// Reads the projections in the model's order; whether they are a stack, and in which order they were.
fn read_turned(args: &Args, angles: usize) -> Result<(Array3<f32>, bool, Order)> {
    let wrong = |message: String| Error::file(&args.file, message);
    let values = real(&args.file)?;
    let order = match &args.order {
        None => Order::told_by(values.shape(), angles).map_err(wrong)?,
        Some(order) if order.0.len() != values.ndim() => {
            return Err(wrong(format!(
                "--order names {} axes, the projections have {:?}",
                order.0.len(),
                values.shape()
            )));
        }
        Some(order) => order.clone(),
    };
    let stack = values.ndim() == 3;
    let at = |name: Name| order.0.iter().position(|n| *n == name);
    let (values, places) = match at(Name::Slice) {
        Some(slice) => (values, [Some(slice), at(Name::Angle), at(Name::Detector)]),
        None => {
            (values.insert_axis(Axis(0)), [Some(0), at(Name::Angle).map(|a| a + 1), at(Name::Detector).map(|a| a + 1)])
        }
    };
    let places: Vec<usize> = places.into_iter().flatten().collect();
    let turned = values.permuted_axes(places).as_standard_layout().into_owned();
    let turned: Array3<f32> = turned.into_dimensionality().map_err(|e| wrong(e.to_string()))?;
    let found = turned.len_of(Axis(1));
    if found != angles {
        return Err(wrong(format!(
            "--order says that there are {found} views, and there are {}",
            count_of(angles, "angle")
        )));
    }
    Ok((turned, stack, order))
}

/// Reads the projections and makes absorption of them.
pub fn read(args: &Args, angles: usize, notes: &mut Vec<String>, warnings: &Warnings) -> Result<Views> {
    let (mut values, stack, order) = read_turned(args, angles)?;
    if args.scan.rays() == Rays::Cone && !stack {
        return Err(Error::file(&args.file, "a cone needs projections of three axes, (row, angle, detector)"));
    }
    if !order.is_usual() {
        notes.push(format!("the axes are ({}), and were turned", order.words()));
    }
    if args.transmission {
        let [flat, dark] = [&args.flat, &args.dark].map(|f| f.as_ref().map(Field::values).transpose());
        let found = absorption(values.view(), flat?.as_ref(), dark?.as_ref())
            .map_err(|e| Error::file(&args.file, e.to_string()))?;
        values = found.values;
        if found.clipped > 0 {
            notes.push(format!(
                "{} not above 0 {} clipped to the smallest that is",
                count_of(found.clipped, "value"),
                if found.clipped == 1 { "was" } else { "were" }
            ));
        }
    } else if looks_like_transmission(values.view()) {
        let what = "the projections look like transmission: their background is near the maximum; give --transmission if they are";
        warnings.say(what.into());
    }
    Ok(Views { values, stack })
}

/// The projections with their defects filled.
pub fn filled(views: &Array3<f32>) -> Result<Array3<f32>> {
    let mut views = views.clone();
    Defects::of(views.view())?.fill(&mut views);
    Ok(views)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_angles_tell_the_order() {
        let of = |extents: &[usize], angles| Order::told_by(extents, angles).map(|o| o.words());
        assert_eq!(of(&[180, 128], 180).as_deref(), Ok("angle, detector"));
        assert_eq!(of(&[128, 180], 180).as_deref(), Ok("detector, angle"));
        assert_eq!(of(&[7, 180, 128], 180).as_deref(), Ok("slice, angle, detector"));
        assert_eq!(of(&[180, 7, 128], 180).as_deref(), Ok("angle, slice, detector"));
        assert_eq!(of(&[7, 128, 180], 180).as_deref(), Ok("slice, detector, angle"));
        assert!(of(&[180, 180], 180).unwrap_err().contains("--order"));
        assert!(of(&[128, 90], 180).unwrap_err().contains("180 angles"));
        assert!(of(&[9], 9).unwrap_err().contains("1 axes"));
        assert!(Order::parse("angle,detector").is_ok() && Order::parse("row, angle, column").is_ok());
        for text in ["angle", "angle,angle", "slice,angle", "x,y", "angle,detector,angle"] {
            assert!(Order::parse(text).is_err(), "{text}");
        }
    }
}
