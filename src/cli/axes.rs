//! What the axes of an array are, and the images of an array that holds several.

use linops::io::{Cfl, Pick, ScanChoice};
use linops::{Error, Result};
use ndarray::{ArrayD, Axis, Zip};
use num_complex::Complex32;
use std::path::Path;
use std::str::FromStr;

/// The axes of several images, as scans from HDF5 files have them, with the choice of each.
fn counters(choice: &ScanChoice) -> [(&'static str, &Pick); 6] {
    [
        ("slice", &choice.slice),
        ("contrast", &choice.contrast),
        ("phase", &choice.phase),
        ("repetition", &choice.repetition),
        ("set", &choice.set),
        ("average", &choice.average),
    ]
}

/// What one axis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Counter(&'static str),
    Coil,
    /// Of the image, (z, y, x) as 0 to 2.
    Image(usize),
    /// Of samples along a trajectory.
    Sample,
}

/// Names of the axes of an array, the first first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axes(Vec<Name>);

impl FromStr for Axes {
    type Err = String;

    fn from_str(text: &str) -> Result<Axes, String> {
        let name = |word: &str| {
            Ok(match word.trim() {
                "slice" => Name::Counter("slice"),
                "contrast" | "echo" => Name::Counter("contrast"),
                "phase" => Name::Counter("phase"),
                "repetition" | "time" => Name::Counter("repetition"),
                "set" => Name::Counter("set"),
                "average" => Name::Counter("average"),
                "coil" => Name::Coil,
                "kz" | "z" => Name::Image(0),
                "ky" | "y" => Name::Image(1),
                "kx" | "x" => Name::Image(2),
                "spoke" | "sample" | "arm" => Name::Sample,
                other => {
                    return Err(format!(
                        "no axis '{other}'; expected names such as slice,coil,ky,kx: slice, contrast, phase, repetition, set, average, \
                         coil, kz, ky, kx, and spoke, sample with a trajectory"
                    ));
                }
            })
        };
        let names: Vec<Name> = text.split(',').map(name).collect::<Result<_, String>>()?;
        let twice = names.iter().enumerate().find(|(at, name)| **name != Name::Sample && names[..*at].contains(name));
        match twice {
            Some((at, _)) => Err(format!("axis '{}' is named twice", text.split(',').nth(at).unwrap_or(""))),
            None => Ok(Axes(names)),
        }
    }
}

/// Where the axes of an array are.
struct Layout {
    counters: Vec<(&'static str, usize)>,
    coil: Option<usize>,
    /// Those of an image or of samples, in their order.
    own: Vec<usize>,
}

/// The images of an array, each (coil, …).
pub struct Split {
    /// The leading axes of several, with what their indices stand for.
    pub axes: Vec<(&'static str, Vec<usize>)>,
    pub images: Vec<ArrayD<Complex32>>,
}

impl Split {
    /// An array that is one image.
    pub fn one(image: ArrayD<Complex32>) -> Split {
        Split { axes: Vec::new(), images: vec![image] }
    }
}

/// What there is to say of ranges that reach beyond what is there.
pub fn cut_short(axes: &[(&'static str, Vec<usize>)], choice: &ScanChoice) -> Vec<String> {
    let beyond = |(name, pick): (&'static str, &Pick)| {
        let Pick::Range(range) = pick else { return None };
        let (_, values) = axes.iter().find(|(axis, _)| *axis == name)?;
        let last = *values.last()?;
        let asked = format!("{}:{}", range.start, range.end);
        (range.end != usize::MAX && last + 1 < range.end)
            .then(|| format!("--{name} {asked}: {last} is the last there is"))
    };
    counters(choice).into_iter().filter_map(beyond).collect()
}

/// The first counter that something is chosen of, but is not there.
fn expect_counters(path: &Path, choice: &ScanChoice, there: &[(&'static str, usize)], fix: &str) -> Result<()> {
    let asked = counters(choice).into_iter().filter(|(_, pick)| **pick != Pick::Usual);
    match asked.map(|(name, _)| name).find(|name| !there.iter().any(|(has, _)| has == name)) {
        Some(name) => Err(Error::file(path, format!("--{name}: the array has no axis of that name; {fix}"))),
        None => Ok(()),
    }
}

const BY_NAMES: &str = "name its axes, as in --axes slice,coil,ky,kx";

impl Axes {
    /// The images of an array with these axes; `samples` are along a trajectory.
    pub fn split(&self, path: &Path, array: ArrayD<Complex32>, choice: &ScanChoice, samples: bool) -> Result<Split> {
        if array.ndim() != self.0.len() {
            let message =
                format!("an array {:?} of {} axes, but --axes names {}", array.shape(), array.ndim(), self.0.len());
            return Err(Error::file(path, message));
        }
        let place = |wanted: Name| self.0.iter().position(|name| *name == wanted);
        let named = |name: &Name| match name {
            Name::Counter(name) => Some(*name),
            _ => None,
        };
        let counters =
            self.0.iter().enumerate().filter_map(|(axis, name)| Some((named(name)?, axis))).collect::<Vec<_>>();
        let is_own = |name: &Name| matches!(name, Name::Sample | Name::Image(_));
        let mut own: Vec<usize> = (0..self.0.len()).filter(|axis| is_own(&self.0[*axis])).collect();
        if !samples {
            own = (0..3).filter_map(|axis| place(Name::Image(axis))).collect();
            if place(Name::Image(1)).is_none() || place(Name::Image(2)).is_none() || self.0.contains(&Name::Sample) {
                return Err(Error::file(
                    path,
                    "--axes of data on a grid need ky and kx; spoke and sample are for --traj",
                ));
            }
        }
        expect_counters(path, choice, &counters, BY_NAMES)?;
        Layout { counters, coil: place(Name::Coil), own }.split(path, array, choice)
    }
}

/// The images along the first axis of an array: of the counter that something is chosen of, or of `usual`.
pub fn along_first(path: &Path, array: ArrayD<Complex32>, choice: &ScanChoice, usual: &'static str) -> Result<Split> {
    let asked = counters(choice).into_iter().find(|(_, pick)| **pick != Pick::Usual);
    let counters = vec![(asked.map_or(usual, |(name, _)| name), 0)];
    expect_counters(path, choice, &counters, BY_NAMES)?;
    Layout { counters, coil: Some(1), own: (2..array.ndim()).collect() }.split(path, array, choice)
}

/// Whether any images of several are chosen.
pub fn is_chosen(choice: &ScanChoice) -> bool {
    counters(choice).into_iter().any(|(_, pick)| *pick != Pick::Usual)
}

/// The same as an error where an array has one image only.
pub fn expect_none(path: &Path, choice: &ScanChoice) -> Result<()> {
    expect_counters(path, choice, &[], BY_NAMES)
}

/// BART's dims.
const BART_DIMS: usize = 16;
/// Those that number images.
const BART_COUNTERS: [(&str, usize); 6] =
    [("slice", 13), ("contrast", 5), ("phase", 11), ("repetition", 10), ("set", 15), ("average", 14)];

/// BART's dim of a counter.
pub fn bart_dim(axis: &str) -> Option<usize> {
    BART_COUNTERS.iter().find(|(name, _)| *name == axis).map(|(_, dim)| *dim)
}

/// Whether a BART array has several images.
pub fn is_several(cfl: &Cfl) -> bool {
    BART_COUNTERS.iter().any(|(_, dim)| cfl.dims.get(*dim).is_some_and(|n| *n > 1))
}

/// The images (coil, z, y, x) of a BART array: echoes (dim 5), time (10, 11), slices (13), averages (14) and batches (15) are several.
pub fn bart_split(path: &Path, cfl: Cfl, choice: &ScanChoice) -> Result<Split> {
    let extent = |dim: usize| cfl.dims.get(dim).copied().unwrap_or(1);
    let known = |dim: &usize| *dim < 4 || BART_COUNTERS.iter().any(|(_, d)| d == dim);
    if let Some(dim) = (0..cfl.dims.len()).find(|dim| !known(dim) && extent(*dim) != 1) {
        let what = match dim {
            4 => " (sets of maps)",
            6 | 7 => " (coefficients)",
            9 => " (coil combinations)",
            12 => " (levels)",
            _ => "",
        };
        return Err(Error::file(
            path,
            format!(
                "BART dim {dim}{what} of the k-space is {}, expected 1: take one by `bart slice {dim} K`; echoes (5), time (10, 11), \
                 slices (13), averages (14) and batches (15) are read as several images",
                extent(dim)
            ),
        ));
    }
    let counters: Vec<(&'static str, usize)> = BART_COUNTERS
        .iter()
        .filter(|(_, dim)| extent(*dim) > 1)
        .map(|(name, dim)| (*name, BART_DIMS - 1 - dim))
        .collect();
    let shape: Vec<usize> = (0..BART_DIMS).rev().map(extent).collect();
    let array = cfl.array.into_shape_with_order(shape).map_err(|e| Error::file(path, e.to_string()))?;
    expect_counters(path, choice, &counters, "its dim is 1")?;
    let own = vec![BART_DIMS - 3, BART_DIMS - 2, BART_DIMS - 1];
    Layout { counters, coil: Some(BART_DIMS - 4), own }.split(path, array, choice)
}

impl Layout {
    fn split(self, path: &Path, array: ArrayD<Complex32>, choice: &ScanChoice) -> Result<Split> {
        let (front, own) = (self.counters.len(), self.own.len());
        let coil: Vec<usize> = self.coil.into_iter().collect();
        let order = self.counters.iter().map(|(_, axis)| *axis).chain(coil.iter().copied()).chain(self.own);
        let mut order: Vec<usize> = order.collect();
        // What is named by nothing is of extent 1.
        order.extend((0..array.ndim()).filter(|axis| !order.contains(axis)).collect::<Vec<_>>());
        let mut array = array.permuted_axes(order);
        while array.ndim() > front + coil.len() + own {
            let last = Axis(array.ndim() - 1);
            array = array.index_axis_move(last, 0);
        }
        if coil.is_empty() {
            array = array.insert_axis(Axis(front));
        }
        let (mut axes, mut images) = (Vec::new(), vec![array]);
        for (name, _) in self.counters {
            let pick = counters(choice).into_iter().find(|(has, _)| *has == name).map(|(_, pick)| pick.clone());
            let pick = pick.unwrap_or_default();
            let n = images[0].len_of(Axis(0));
            let averaged = name == "average" && pick == Pick::Usual;
            let wanted = match pick {
                Pick::Usual => (0..n).collect(),
                ref pick => pick.indices(n, name).map_err(|e| Error::file(path, e))?,
            };
            images = images
                .into_iter()
                .flat_map(|image| match averaged {
                    true => vec![mean(&image)],
                    false => wanted.iter().map(|&at| image.index_axis(Axis(0), at).to_owned()).collect(),
                })
                .collect();
            if !averaged && (pick.is_stack() || pick == Pick::Usual && n > 1) {
                axes.push((name, wanted));
            }
        }
        let images = images.into_iter().map(|image| image.as_standard_layout().into_owned()).collect();
        Ok(Split { axes, images })
    }
}

/// The mean over the first axis of what was acquired.
fn mean(images: &ArrayD<Complex32>) -> ArrayD<Complex32> {
    let mut count = images.map_axis(Axis(0), |_| 0.0f32);
    for image in images.axis_iter(Axis(0)) {
        Zip::from(&mut count).and(&image).for_each(|n, v| *n += f32::from(*v != Complex32::default()));
    }
    images.sum_axis(Axis(0)) / count.mapv(|n| Complex32::from(n.max(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(shape: &[usize]) -> ArrayD<Complex32> {
        let strides: Vec<usize> = (0..shape.len()).map(|a| 10usize.pow((shape.len() - 1 - a) as u32)).collect();
        ArrayD::from_shape_fn(shape, |at| {
            let number: usize = (0..shape.len()).map(|a| at[a] * strides[a]).sum();
            Complex32::from((1 + number) as f32)
        })
    }

    #[test]
    fn named_axes_are_brought_to_their_places() {
        let axes: Axes = "kx,slice,coil,ky".parse().unwrap();
        let array = numbered(&[5, 3, 2, 4]);
        let path = Path::new("k.npy");
        let split = |choice: &ScanChoice| axes.split(path, array.clone(), choice, false);
        let all = split(&ScanChoice::default()).unwrap();
        assert_eq!((all.axes, all.images.len()), (vec![("slice", vec![0, 1, 2])], 3));
        assert_eq!((all.images[2].shape(), all.images[2][[1, 3, 4]]), (&[2, 4, 5][..], array[[4, 2, 1, 3]]));
        let one = split(&ScanChoice::default().slice(Pick::Only(1))).unwrap();
        assert_eq!((one.axes.len(), one.images[0][[0, 0, 0]]), (0, array[[0, 1, 0, 0]]));
        let two = split(&ScanChoice::default().slice(Pick::List(vec![2, 0]))).unwrap();
        assert_eq!((two.axes, two.images[0][[0, 0, 0]]), (vec![("slice", vec![2, 0])], array[[0, 2, 0, 0]]));
        let error = |choice| split(&choice).err().unwrap().to_string();
        assert!(error(ScanChoice::default().slice(Pick::Only(3))).contains("slices 0 to 2"));
        assert!(error(ScanChoice::default().set(Pick::All)).contains("--set: the array has no axis"));
        assert!("slice,slice".parse::<Axes>().unwrap_err().contains("twice"));
        assert!("slice,k".parse::<Axes>().unwrap_err().contains("no axis 'k'"));
        let short: Axes = "coil,ky,kx".parse().unwrap();
        assert!(
            short
                .split(path, array.clone(), &ScanChoice::default(), false)
                .err()
                .unwrap()
                .to_string()
                .contains("names 3")
        );
    }

    #[test]
    fn averages_are_averaged_where_they_were_acquired() {
        let axes: Axes = "average,ky,kx".parse().unwrap();
        let mut array = numbered(&[2, 3, 4]);
        array[[1, 0, 0]] = Complex32::default();
        let split = |choice: ScanChoice| axes.split(Path::new("k.npy"), array.clone(), &choice, false).unwrap();
        let mean = split(ScanChoice::default());
        assert_eq!((mean.axes.len(), mean.images[0].shape()), (0, &[1, 3, 4][..]));
        assert_eq!((mean.images[0][[0, 0, 0]].re, mean.images[0][[0, 0, 1]].re), (1.0, 52.0));
        assert_eq!(split(ScanChoice::default().average(Pick::All)).images.len(), 2);
    }

    #[test]
    fn dims_of_bart_have_their_meanings() {
        let mut dims = vec![1; 14];
        (dims[0], dims[1], dims[3], dims[5], dims[13]) = (5, 4, 2, 3, 2);
        let array = numbered(&[2, 1, 1, 1, 1, 1, 1, 1, 3, 1, 2, 1, 4, 5].map(|n| n));
        let cfl = |dims: &[usize]| Cfl { dims: dims.to_vec(), array: array.clone() };
        let found = bart_split(Path::new("k.cfl"), cfl(&dims), &ScanChoice::default()).unwrap();
        assert_eq!(found.axes, [("slice", vec![0, 1]), ("contrast", vec![0, 1, 2])]);
        assert_eq!((found.images.len(), found.images[4].shape()), (6, &[2, 1, 4, 5][..]));
        let at = [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 2, 3];
        assert_eq!(found.images[4][[1, 0, 2, 3]], array[&at[..]]);
        dims.swap(5, 6);
        let error = bart_split(Path::new("k.cfl"), cfl(&dims), &ScanChoice::default()).err().unwrap().to_string();
        assert!(error.contains("BART dim 6 (coefficients)"), "{error}");
    }
}
