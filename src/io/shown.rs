//! How values become black, white and colours: the window, and the colours of a phase.

use ndarray::{ArrayD, ArrayViewD, Axis};
use std::f32::consts::{PI, TAU};

/// Which values become black and white.
///
/// ```
/// use linops::io::Window;
/// // Nine pixels in the dark are an object too.
/// let mut image = ndarray::Array2::<f32>::zeros((256, 256));
/// image.slice_mut(ndarray::s![100..103, 50..53]).fill(2.0);
/// assert_eq!(Window::default().limits(image.view().into_dyn()), (0.0, 2.0));
/// assert_eq!("0:0.5".parse(), Ok(Window::Range(0.0, 0.5)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Window {
    /// Black is 0, white the given percentile (0 to 100) of the object: of the finite pixels that are no background.
    ///
    /// The background is what lies below Otsu's threshold (IEEE Trans. Syst. Man Cybern. 9:62, 1979) of the magnitudes' square
    /// roots, which keeps dim parts of an object in it. A pixel counts as no more than the brightest beside it, so that single hot
    /// pixels do not darken a picture.
    Percentile(f32),
    /// Black is 0, white the largest finite value.
    Max,
    /// Black and white, in the image's own unit.
    Range(f32, f32),
}

impl Default for Window {
    /// White at the 99.5th percentile of the object.
    fn default() -> Self {
        Window::Percentile(99.5)
    }
}

impl Window {
    /// Black and white of an image, whose last two axes are rows and columns. Where nothing is positive white is 0 and black the
    /// smallest value; images of zeros have (0, 0), or (0, 1) where nothing is finite.
    pub fn limits(self, image: ArrayViewD<f32>) -> (f32, f32) {
        let percent = match self {
            Window::Range(black, white) => return (black, white),
            Window::Max => 100.0,
            Window::Percentile(percent) => percent.clamp(0.0, 100.0),
        };
        let finite = |v: &f32| v.is_finite();
        if !image.iter().any(finite) {
            return (0.0, 1.0);
        }
        let largest = image.iter().copied().filter(finite).fold(f32::NEG_INFINITY, f32::max);
        if largest <= 0.0 {
            return (image.iter().copied().filter(finite).fold(0.0, f32::min), 0.0);
        }
        if self == Window::Max {
            return (0.0, largest);
        }
        let mut object = object(image);
        if object.is_empty() {
            return (0.0, largest);
        }
        let index = (f64::from(percent) / 100.0 * (object.len() - 1) as f64).round() as usize;
        let index = index.min(object.len() - 1);
        let (_, &mut white, _) = object.select_nth_unstable_by(index, f32::total_cmp);
        (0.0, white)
    }

    /// Black and white of values of both signs, at the same distance from 0, which is grey.
    pub fn symmetric(self, image: ArrayViewD<f32>) -> (f32, f32) {
        match self {
            Window::Range(black, white) => (black, white),
            _ => {
                let (_, white) = self.limits(image.mapv(f32::abs).view());
                (-white, white)
            }
        }
    }
}

impl std::str::FromStr for Window {
    type Err = String;

    /// `lo:hi`, `max`, or `p` with a percentile.
    fn from_str(text: &str) -> Result<Window, String> {
        let number = |t: &str| t.parse::<f32>().ok().filter(|v| v.is_finite());
        let window = match text.split_once(':') {
            Some((low, high)) => {
                number(low).zip(number(high)).filter(|(low, high)| low < high).map(|(l, h)| Window::Range(l, h))
            }
            None if text == "max" => Some(Window::Max),
            None => {
                let percent = text.strip_prefix('p').and_then(number);
                percent.filter(|p| (0.0..=100.0).contains(p)).map(Window::Percentile)
            }
        };
        window.ok_or_else(|| {
            "expected lo:hi with lo below hi, such as 0:1.5, or max, or a percentile such as p99.5".into()
        })
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Window::Percentile(p) => write!(f, "percentile {p} of the object"),
            Window::Max => f.write_str("the largest value"),
            Window::Range(..) => f.write_str("as given"),
        }
    }
}

/// The values of what is no background.
fn object(image: ArrayViewD<f32>) -> Vec<f32> {
    let values = without_hot_pixels(image);
    let positive = |v: &f32| *v > 0.0;
    let largest = values.iter().copied().fold(0.0, f32::max);
    if largest <= 0.0 {
        return Vec::new();
    }
    let bin = |v: f32| (((v / largest).sqrt() * BINS as f32) as usize).min(BINS - 1);
    let mut counts = [0usize; BINS];
    values.iter().filter(|v| v.is_finite()).for_each(|v| counts[bin(v.max(0.0))] += 1);
    let threshold = otsu(&counts);
    values.into_iter().filter(positive).filter(|v| bin(*v) >= threshold).collect()
}

const BINS: usize = 512;

/// The first bin of the brighter class: of two classes, those that lie farthest apart.
fn otsu(counts: &[usize; BINS]) -> usize {
    let all: f64 = counts.iter().map(|&n| n as f64).sum();
    let moment: f64 = counts.iter().enumerate().map(|(k, &n)| k as f64 * n as f64).sum();
    let (mut below, mut moment_below) = (0.0, 0.0);
    let (mut best, mut threshold) = (0.0, 0);
    for k in 1..BINS {
        below += counts[k - 1] as f64;
        moment_below += (k - 1) as f64 * counts[k - 1] as f64;
        let above = all - below;
        if below == 0.0 || above == 0.0 {
            continue;
        }
        let apart = moment_below / below - (moment - moment_below) / above;
        let between = below * above * apart * apart;
        // Between two classes many thresholds are as good: the first.
        if between > best * (1.0 + 1e-12) {
            (best, threshold) = (between, k);
        }
    }
    threshold
}

/// Each pixel, but no more than the brightest beside it; what is not finite is 0. All of it where nothing else would be left.
fn without_hot_pixels(image: ArrayViewD<f32>) -> Vec<f32> {
    let clean = image.mapv(|v| if v.is_finite() { v } else { 0.0 });
    let (width, height) = match *clean.shape() {
        [.., h, w] => (w, h),
        [w] => (w, 1),
        [] => (1, 1),
    };
    if width == 0 || height == 0 {
        return Vec::new();
    }
    let values: Vec<f32> = clean.iter().copied().collect();
    if width * height < 2 {
        return values;
    }
    let mut out = Vec::with_capacity(values.len());
    for page in values.chunks_exact(width * height) {
        for y in 0..height {
            for x in 0..width {
                let rows = y.saturating_sub(1)..(y + 2).min(height);
                let beside = rows.flat_map(|r| (x.saturating_sub(1)..(x + 2).min(width)).map(move |c| (r, c)));
                let around = beside.filter(|at| *at != (y, x)).map(|(r, c)| page[r * width + c]);
                out.push(page[y * width + x].min(around.fold(0.0, f32::max)));
            }
        }
    }
    if out.iter().any(|v| *v > 0.0) { out } else { values }
}

/// Phases in radians as colours, with (red, green, blue) from 0 to 1 as a last axis: round the circle from red at 0 over
/// green at 2π/3 to blue at −2π/3, each a raised cosine, so that equal steps of phase are seen as equal steps and π meets −π. What
/// is NaN, which has no phase, is black.
pub fn phase_colours(phase: ArrayViewD<f32>) -> ArrayD<f32> {
    let colour = |turn: f32| phase.mapv(|p| if p.is_finite() { 0.5 + 0.5 * (p - turn * TAU / 3.0).cos() } else { 0.0 });
    let planes = [colour(0.0), colour(1.0), colour(2.0)];
    let views: Vec<_> = planes.iter().map(|p| p.view()).collect();
    // Equal shapes always stack.
    ndarray::stack(Axis(phase.ndim()), &views).unwrap_or_else(|_| ArrayD::zeros(phase.raw_dim()))
}

/// The window of a phase.
pub const PHASE_WINDOW: (f32, f32) = (-PI, PI);

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, s};

    fn white(image: &Array2<f32>) -> f32 {
        let (black, white) = Window::default().limits(image.view().into_dyn());
        assert_eq!(black, 0.0);
        white
    }

    #[test]
    fn small_objects_are_seen() {
        let mut image = Array2::from_shape_fn((256, 256), |(y, x)| 1e-6 * ((7 * y + 3 * x) % 11) as f32);
        image.slice_mut(s![10..13, 20..23]).fill(1.0);
        assert_eq!(white(&image), 1.0);
        // One pixel in the dark.
        let mut point = Array2::zeros((64, 64));
        point[[5, 6]] = 3.0;
        assert_eq!(white(&point), 3.0);
        assert_eq!(white(&Array2::zeros((4, 4))), 0.0);
        let negative = Array2::from_shape_fn((4, 4), |(y, _)| -(y as f32)).into_dyn();
        for window in [Window::default(), Window::Max] {
            assert_eq!(window.limits(negative.view()), (-3.0, 0.0));
        }
        assert_eq!(white(&Array2::from_elem((4, 4), f32::NAN)), 1.0);
        assert_eq!(white(&Array2::from_elem((1, 1), 2.0)), 2.0);
    }

    #[test]
    fn hot_pixels_do_not_count() {
        let mut image = Array2::from_elem((100, 100), 1.0);
        for k in 0..30 {
            image[[3 * k, (7 * k) % 100]] = 1e6;
        }
        image[[50, 50]] = f32::INFINITY;
        assert_eq!(white(&image), 1.0);
    }

    #[test]
    fn the_background_does_not_count() {
        // A tenth is object, of values from 0.5 to 1.
        let image = Array2::from_shape_fn((100, 100), |(y, x)| if y < 10 { 0.5 + x as f32 / 200.0 } else { 0.01 });
        let white = white(&image);
        assert!((white - 0.99).abs() < 0.01, "{white}");
        let limits = |w: Window| w.limits(image.view().into_dyn());
        assert_eq!(limits(Window::Max), (0.0, 0.995));
        assert_eq!(limits(Window::Range(-1.0, 2.0)), (-1.0, 2.0));
        assert!((limits(Window::Percentile(50.0)).1 - 0.75).abs() < 0.01);
        assert_eq!(Window::Max.symmetric((-&image).view().into_dyn()), (-0.995, 0.995));
    }

    #[test]
    fn windows_are_read() {
        assert_eq!("-1:2e3".parse(), Ok(Window::Range(-1.0, 2e3)));
        assert_eq!(("max".parse(), "p99".parse()), (Ok(Window::Max), Ok(Window::Percentile(99.0))));
        for wrong in ["", "2:1", "1:1", "p101", "p", "99", "a:b", "nan:1", "0:inf"] {
            assert!(wrong.parse::<Window>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn phases_go_round() {
        let phases = ndarray::arr1(&[0.0, TAU / 3.0, -TAU / 3.0, PI, -PI, f32::NAN]).into_dyn();
        let colours = phase_colours(phases.view());
        assert_eq!(colours.shape(), [6, 3]);
        let at = |k: usize| [0, 1, 2].map(|c| (colours[[k, c]] * 1000.0).round());
        assert_eq!((at(0), at(1), at(2)), ([1000.0, 250.0, 250.0], [250.0, 1000.0, 250.0], [250.0, 250.0, 1000.0]));
        assert_eq!((at(3), at(5)), (at(4), [0.0; 3]));
    }
}
