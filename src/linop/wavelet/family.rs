//! Wavelets by name, and their filters.

use super::filters::{COIFLETS, DAUBECHIES, SPLINES, SYMLETS, biorthogonal};
use crate::error::{Error, Result, value_err};
use std::f64::consts::FRAC_1_SQRT_2;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A wavelet: lowpass and highpass filters of analysis and synthesis. It is read from its name, as PyWavelets writes it.
///
/// | names | family |
/// |---|---|
/// | `haar`, `db1` to `db20` | Daubechies' orthogonal wavelets of least support; `dbN` has 2N taps and N vanishing moments |
/// | `sym2` to `sym20` | the least asymmetric ones of the same length |
/// | `coif1` to `coif17` | coiflets of 6N taps: 2N moments vanish, and 2N − 1 of the scaling function |
/// | `bior1.1` … `bior6.8` | the biorthogonal ones of Cohen, Daubechies and Feauveau, linear in phase; `bior4.4` is CDF 9/7 |
/// | `rbio1.1` … `rbio6.8` | the same with analysis and synthesis exchanged |
///
/// ```
/// use linops::linop::Wavelet;
/// let db4: Wavelet = "db4".parse()?;
/// assert_eq!((db4.taps(), db4.is_orthogonal(), db4.name()), (8, true, "db4"));
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Wavelet(Arc<Filters>);

#[derive(PartialEq)]
struct Filters {
    name: String,
    /// Lowpass and highpass, of equal and even length.
    analysis: [Vec<f64>; 2],
    synthesis: [Vec<f64>; 2],
    orthogonal: bool,
}

impl Wavelet {
    /// The wavelet of two lowpass filters of equal, even length. The highpass of each side is the other side's lowpass with
    /// every second sign changed.
    fn of(name: &str, analysis: Vec<f64>, synthesis: Vec<f64>, orthogonal: bool) -> Wavelet {
        let alternating = |f: &[f64], odd: f64| -> Vec<f64> {
            f.iter().enumerate().map(|(k, v)| if k % 2 == 1 { odd * v } else { -odd * v }).collect()
        };
        let (low, high) = (alternating(&synthesis, 1.0), alternating(&analysis, -1.0));
        let filters =
            Filters { name: name.into(), analysis: [analysis, low], synthesis: [synthesis, high], orthogonal };
        Wavelet(Arc::new(filters))
    }

    fn orthogonal(name: &str, scaling: &[f64]) -> Wavelet {
        Wavelet::of(name, scaling.iter().rev().copied().collect(), scaling.to_vec(), true)
    }

    /// Its name: "db4".
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Number of taps of every filter, zeros included that make them equally long.
    pub fn taps(&self) -> usize {
        self.0.analysis[0].len()
    }

    /// Whether synthesis is the transpose of analysis.
    pub fn is_orthogonal(&self) -> bool {
        self.0.orthogonal
    }

    /// Lowpass and highpass of analysis.
    pub fn analysis(&self) -> [&[f64]; 2] {
        self.0.analysis.each_ref().map(Vec::as_slice)
    }

    /// Lowpass and highpass of synthesis.
    pub fn synthesis(&self) -> [&[f64]; 2] {
        self.0.synthesis.each_ref().map(Vec::as_slice)
    }

    /// The most levels that are usual for an axis of this extent, after which every coefficient touches the boundary:
    /// ⌊log2(extent/(taps − 1))⌋, PyWavelets' `dwt_max_level`.
    pub fn max_levels(&self, extent: usize) -> usize {
        (extent / (self.taps() - 1)).checked_ilog2().map_or(0, |l| l as usize)
    }
}

impl Default for Wavelet {
    /// "db4".
    fn default() -> Wavelet {
        Wavelet::orthogonal("db4", DAUBECHIES[2])
    }
}

impl FromStr for Wavelet {
    type Err = Error;

    fn from_str(name: &str) -> Result<Wavelet> {
        let number = |s: &str| s.parse::<usize>().ok().filter(|_| !s.starts_with(['0', '+']));
        let nth = |table: &[&'static [f64]], first: usize, n: &str| {
            number(n)?.checked_sub(first).and_then(|i| table.get(i).copied())
        };
        let pair = |s: &str| {
            let (p, q) = s.split_once('.')?;
            let pair = (number(p)?, number(q)?);
            SPLINES.contains(&pair).then(|| biorthogonal(pair.0, pair.1))
        };
        let haar = &[FRAC_1_SQRT_2, FRAC_1_SQRT_2];
        let found = if name == "haar" || name == "db1" {
            Some(Wavelet::orthogonal(name, haar))
        } else if let Some(n) = name.strip_prefix("db") {
            nth(DAUBECHIES, 2, n).map(|h| Wavelet::orthogonal(name, h))
        } else if let Some(n) = name.strip_prefix("sym") {
            nth(SYMLETS, 2, n).map(|h| Wavelet::orthogonal(name, h))
        } else if let Some(n) = name.strip_prefix("coif") {
            nth(COIFLETS, 1, n).map(|h| Wavelet::orthogonal(name, h))
        } else if let Some(n) = name.strip_prefix("bior") {
            pair(n).map(|(analysis, synthesis)| Wavelet::of(name, analysis, synthesis, n == "1.1"))
        } else if let Some(n) = name.strip_prefix("rbio") {
            let reversed = |f: Vec<f64>| f.into_iter().rev().collect();
            pair(n).map(|(a, s)| Wavelet::of(name, reversed(s), reversed(a), n == "1.1"))
        } else {
            None
        };
        let Some(wavelet) = found else {
            let shown: String = name.chars().take(40).collect();
            let pairs: Vec<String> = SPLINES.iter().map(|(p, q)| format!("{p}.{q}")).collect();
            return value_err!(
                "unknown wavelet \"{shown}\"; there are haar, db1 to db20, sym2 to sym20, coif1 to coif17, and bior or rbio with {}",
                pairs.join(", ")
            );
        };
        Ok(wavelet)
    }
}

impl fmt::Display for Wavelet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Wavelet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wavelet({})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All names, with the number of vanishing moments of analysis and synthesis.
    fn all() -> Vec<(Wavelet, [usize; 2])> {
        let mut names: Vec<(String, [usize; 2])> = vec![("haar".into(), [1, 1])];
        names.extend((1..=20).map(|n| (format!("db{n}"), [n, n])));
        names.extend((2..=20).map(|n| (format!("sym{n}"), [n, n])));
        names.extend((1..=17).map(|n| (format!("coif{n}"), [2 * n, 2 * n])));
        for &(p, q) in SPLINES {
            // What analysis sees as moments are the zeros of the synthesis lowpass.
            let zeros = if (p, q) == (5, 5) { [6, 4] } else { [p, q] };
            names.push((format!("bior{p}.{q}"), zeros));
            names.push((format!("rbio{p}.{q}"), [zeros[1], zeros[0]]));
        }
        names.into_iter().map(|(name, moments)| (name.parse().unwrap(), moments)).collect()
    }

    /// Σ a[k]·b[k + 2m].
    fn product(a: &[f64], b: &[f64], m: i64) -> f64 {
        let at = |k: usize| usize::try_from(k as i64 + 2 * m).ok().and_then(|k| b.get(k)).copied().unwrap_or(0.0);
        a.iter().enumerate().map(|(k, v)| v * at(k)).sum()
    }

    #[test]
    fn synthesis_inverts_analysis() {
        for (w, _) in all() {
            let reversed = |f: &[f64]| -> Vec<f64> { f.iter().rev().copied().collect() };
            let half = w.taps() as i64 / 2;
            for (i, a) in w.analysis().iter().enumerate() {
                for (j, s) in w.synthesis().iter().enumerate() {
                    for m in -half..=half {
                        let want = if i == j && m == 0 { 1.0 } else { 0.0 };
                        let got = product(&reversed(a), s, m);
                        assert!((got - want).abs() < 1e-15 * w.taps() as f64, "{w} {i}{j} {m}: {got}");
                    }
                }
            }
            let same = w.analysis()[0].iter().rev().zip(w.synthesis()[0]).all(|(a, b)| (a - b).abs() < 1e-15);
            assert_eq!(w.is_orthogonal(), same, "{w}");
        }
    }

    #[test]
    fn moments_vanish() {
        for (w, count) in all() {
            for (filters, count) in [w.analysis(), w.synthesis()].into_iter().zip(count) {
                let middle = (w.taps() - 1) as f64 / 2.0;
                let sum = |f: &[f64], p: i32| -> (f64, f64) {
                    let terms = f.iter().enumerate().map(|(k, v)| v * (k as f64 - middle).powi(p));
                    terms.fold((0.0, 0.0), |(s, a), t| (s + t, a + t.abs()))
                };
                assert!((sum(filters[0], 0).0 - std::f64::consts::SQRT_2).abs() < 1e-14, "{w}");
                for p in 0..count {
                    let (moment, size) = sum(filters[1], p as i32);
                    assert!(moment.abs() < 4e-15 * size, "{w}: moment {p} is {moment:e} of {size:e}");
                }
            }
        }
    }

    #[test]
    fn moments_of_coiflets_vanish_about_their_centre() {
        for n in 1..=17 {
            let w: Wavelet = format!("coif{n}").parse().unwrap();
            for p in 1..2 * n {
                let terms = w.synthesis()[0].iter().enumerate().map(|(k, v)| v * (k as f64 - 2.0 * n as f64).powi(p));
                let (moment, size) = terms.fold((0.0, 0.0), |(s, a), t| (s + t, a + t.abs()));
                assert!(moment.abs() < 4e-15 * size, "{w}: moment {p} is {moment:e} of {size:e}");
            }
        }
    }

    #[test]
    fn symlets_are_more_symmetric() {
        // The distance from the nearest symmetric filter, about any tap or gap.
        let asymmetry = |name: String| -> f64 {
            let w: Wavelet = name.parse().unwrap();
            let h = w.synthesis()[0];
            let at = |k: i64| usize::try_from(k).ok().and_then(|k| h.get(k)).copied().unwrap_or(0.0);
            let about = |twice: i64| (-40..80).map(|k| (at(k) - at(twice - k)).powi(2)).sum::<f64>();
            (0..2 * h.len() as i64).map(about).fold(f64::INFINITY, f64::min)
        };
        for n in 4..=20 {
            assert!(asymmetry(format!("sym{n}")) < asymmetry(format!("db{n}")), "{n}");
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for (w, _) in all() {
            assert_eq!(w.name().parse::<Wavelet>().unwrap(), w);
        }
        for wrong in ["", "db", "db0", "db21", "db04", "sym1", "coif18", "bior2.3", "bior2", "rbio", "DB4", "dmey"] {
            let e = wrong.parse::<Wavelet>().unwrap_err().to_string();
            assert!(e.contains(&format!("unknown wavelet \"{wrong}\"; there are haar, db1 to db20")), "{e}");
        }
        assert_eq!(Wavelet::default(), "db4".parse().unwrap());
    }

    #[test]
    fn levels_end_where_filters_outgrow_the_axis() {
        let levels = |name: &str, n| name.parse::<Wavelet>().unwrap().max_levels(n);
        assert_eq!((levels("haar", 1), levels("haar", 17), levels("db4", 6), levels("db4", 7)), (0, 4, 0, 0));
        assert_eq!((levels("db4", 14), levels("db4", 512), levels("coif17", 1000)), (1, 6, 3));
    }
}
