//! Options of regularised reconstructions, the same for all verbs that have them.

use super::numbers::from_one;
use super::printer::{count_of, short};
use super::recon::percent;
use linops::Error;
use linops::app::regularise::{Kind, Regularisation, Regulariser, Stated};
use linops::convex::{ConvexOptions, Method, Reading, Solved, WaveletPenalty};
use linops::linop::Wavelet;
use linops::solve::Stop;
use serde_json::{Map, Value, json};
use std::num::NonZeroUsize;

/// Regularisation: the objective is ½‖A x − y‖² + Σ λᵢRᵢ(x), the same for all solvers and scales of the data.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Regularisation")]
#[group(skip)]
pub struct Regularise {
    /// A regulariser R and its weight λ, as in tv:0.01; may be given several times. l2: ½‖x‖². tv: Σ√Σ|∂x|², differences ahead, none
    /// across the border. tgv: second-order total generalised variation, α₀ = 2α₁. l1-wavelet: Σ|details| of an orthonormal periodic
    /// wavelet transform. llr: nuclear norms of blocks of a series (recon --time). λ of l2 counts as it is, other λ relative to max|Aᴴy|;
    /// tv:=λ is absolute [default λ: of scans (recon) 0.002, of llr 0.01, of l2 0.01 times the largest sum of squares of the maps; of pictures
    /// and CT from the noise, as is said above, but for l2 of pictures, where it is to be given]
    #[arg(long, value_name = "R[:λ]", value_parser = |t: &str| t.parse::<Regulariser>().map_err(|e| e.to_string()))]
    pub reg: Vec<Regulariser>,

    /// How the objective is minimised: admm takes all, pdhg all but llr, fista and ista all but llr and tgv, irls all but bounds; cg is for l2
    /// alone, pogm for l2 and l1-wavelet alone, fgp for pictures without blur and gaps [default: what suits the regularisers]
    #[arg(long, value_name = "NAME", value_parser = |t: &str| t.parse::<Method>().map_err(|e| e.to_string()), requires = "reg")]
    solver: Option<Method>,

    /// The wavelet of l1-wavelet: haar, db1 … db20, sym2 … sym20, coif1 … coif17 [default: db4]
    #[arg(long, value_name = "NAME", value_parser = |t: &str| t.parse::<Wavelet>().map_err(|e| e.to_string()), requires = "reg")]
    wavelet: Option<Wavelet>,

    /// Levels of l1-wavelet at most, as many as the binary logarithm of the shortest extent allows [default: 3]
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true, requires = "reg")]
    levels: Option<NonZeroUsize>,

    /// Average l1-wavelet over so many shifts of its grid, at most 2^levels, which leaves no blocks and costs as many transforms
    /// [default: 8 if given without a number]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "8", value_parser = from_one,
          allow_negative_numbers = true, requires = "reg")]
    cycle_spin: Option<NonZeroUsize>,

    /// Extent of the blocks of llr along each axis of the image, up to that of the longest, which makes it one block [default: 8]
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true, requires = "reg")]
    block: Option<NonZeroUsize>,

    /// Keep the image real and not negative
    #[arg(long)]
    pub non_negative: bool,
}

impl Regularise {
    /// Whether anything of this is asked for.
    pub fn is_asked(&self) -> bool {
        !self.reg.is_empty() || self.non_negative
    }

    /// Whether no weight follows from the noise.
    pub fn has_all_weights(&self) -> bool {
        !self.reg.is_empty() && self.reg.iter().all(|r| r.weight.is_some())
    }

    /// What shows without a look at any file; whether there is a series.
    pub fn check(&self, series: bool) -> Result<(), String> {
        let has = |kind| self.reg.iter().any(|r| r.kind == kind);
        if has(Kind::Llr) && !series {
            return Err("llr is for a series of images (frames, contrasts), as recon --time takes them; use tv or l1-wavelet for one image".into());
        }
        let wavelet = [("--wavelet", self.wavelet.is_some()), ("--levels", self.levels.is_some())];
        let wavelet = [&wavelet[..], &[("--cycle-spin", self.cycle_spin.is_some())]].concat();
        for (kind, options) in [(Kind::L1Wavelet, &wavelet[..]), (Kind::Llr, &[("--block", self.block.is_some())])] {
            if let Some((name, _)) = options.iter().find(|(_, given)| *given && !has(kind)) {
                return Err(format!("{name} is for --reg {kind}, which is not asked for"));
            }
        }
        if let Some(wavelet) = self.wavelet.as_ref().filter(|w| !w.is_orthogonal()) {
            return Err(format!("--wavelet: {wavelet} is not orthogonal; use haar, db, sym or coif"));
        }
        Ok(())
    }

    /// Refuses blocks that are larger than an image of these extents.
    pub fn expect_blocks(&self, image: &[usize]) -> Result<(), Error> {
        let longest = image.iter().copied().max().unwrap_or(1);
        match self.block.map(NonZeroUsize::get).filter(|block| *block > longest) {
            Some(block) => Err(Error::Value(format!(
                "--block {block} is more than the image has, {image:?}; expected 1 to {longest}, which makes it one block"
            ))),
            None => Ok(()),
        }
    }

    /// What is asked for, with `default` where no regulariser is given.
    pub fn regularisation(&self, default: &[Regulariser]) -> Regularisation {
        let terms = if self.reg.is_empty() { default.to_vec() } else { self.reg.clone() };
        let mut wavelet = WaveletPenalty::default();
        if let Some(w) = &self.wavelet {
            wavelet = wavelet.wavelet(w.clone());
        }
        if let Some(levels) = self.levels {
            wavelet = wavelet.levels(levels.get());
        }
        if let Some(shifts) = self.cycle_spin {
            wavelet = wavelet.shifts(shifts.get());
        }
        Regularisation::default()
            .terms(terms)
            .wavelet(wavelet)
            .block(self.block.map(NonZeroUsize::get))
            .non_negative(self.non_negative)
    }

    /// The options of the solver, over these.
    pub fn options<'a>(&self, options: ConvexOptions<'a>) -> ConvexOptions<'a> {
        match self.solver {
            Some(method) => options.method(Some(method)),
            None => options,
        }
    }
}

/// A regularised solve as facts, the same fields of all verbs: nulls where there was nothing to solve.
pub fn add_facts(facts: &mut Map<String, Value>, terms: &[Stated], solved: Option<&Solved>) {
    let term = |t: &Stated| {
        let mut facts = json!({
            "kind": t.kind.to_string(), "lambda": t.absolute, "relative": t.relative, "default": t.default
        });
        if let Some([levels, shifts]) = t.wavelet {
            (facts["levels"], facts["shifts"]) = (levels.into(), shifts.into());
        }
        facts
    };
    let last = solved.and_then(|s| s.history.last());
    let history = solved.map(|s| s.history.iter().map(|r| json!([r.iteration, r.objective])).collect::<Vec<_>>());
    facts.extend([
        ("regularisers".into(), terms.iter().map(term).collect()),
        ("solver".into(), json!(solved.map(|s| s.method.to_string()))),
        ("objective".into(), json!(solved.map(|s| s.objective))),
        ("data_term".into(), json!(solved.map(|s| s.data_term))),
        ("gap".into(), json!(last.and_then(|r| r.gap))),
        ("change".into(), json!(last.map(|r| r.change).filter(|c| c.is_finite()))),
        ("steps_halved".into(), json!(solved.map_or(0, |s| s.halved))),
        ("history".into(), json!(history.unwrap_or_default())),
    ]);
}

/// A residual of conjugate gradients that is rounding.
const SOLVED: f64 = 1e-6;

/// How a regularised solve ended, for people, and by what that is known.
pub fn ending(solved: &Solved) -> String {
    let halved = match solved.halved {
        0 => String::new(),
        times => format!("; the step was halved {}, as the objective grew", count_of(times, "time")),
    };
    // That of PDHG leaves out the slope, and bounds nothing.
    let bounded = solved.method != Method::Pdhg;
    let why = match (solved.stop, solved.history.last()) {
        (Stop::Converged | Stop::Attained, last) if solved.method == Method::Cg => {
            let solves = last.and_then(|r| r.residual).is_none_or(|residual| residual < SOLVED);
            match solved.history.iter().rev().find_map(|r| r.gap) {
                Some(gap) if !solves => format!("the objective falls as if within {} of its limit", percent(gap)),
                _ => "the system is solved as exactly as 32-bit numbers go".into(),
            }
        }
        (Stop::Converged, Some(Reading { gap: Some(gap), .. })) if bounded => {
            format!("the objective is within {} of its limit, by the gap to its dual", percent(gap.max(0.0)))
        }
        (Stop::Converged, Some(last)) => {
            format!("the objective is at rest: the second half of them lowered it by {}", percent(last.change.max(0.0)))
        }
        (Stop::Converged, None) => "the objective is at rest".into(),
        (Stop::Cancelled, _) => "interrupted".into(),
        (Stop::Iterations, Some(Reading { gap: Some(gap), .. })) if bounded && gap.is_finite() => {
            format!("all iterations done, the objective within {} of its limit", percent(gap.max(0.0)))
        }
        (Stop::Attained, Some(Reading { gap: Some(gap), .. })) if bounded && gap.is_finite() => {
            let why = match solved.method {
                Method::Irls => "and hardly nearer with each iteration",
                _ => "as near as 32-bit numbers go",
            };
            format!("the objective within {} of its limit, {why}", percent(gap.max(0.0)))
        }
        (stop, _) => stop.to_string(),
    };
    why + &halved
}

/// A weight for people: "tv 0.01 of max|Aᴴy|, λ = 3.1e-3"; of wavelets the levels and shifts that there are.
pub fn describe(stated: &Stated) -> String {
    let mark = if stated.default { " (default)" } else { "" };
    match stated.kind {
        Kind::L2 => format!("l2, lambda {}{mark}", short(stated.absolute)),
        kind => {
            let over = match stated.wavelet {
                Some([levels, 1]) => format!(", {}", count_of(levels, "level")),
                Some([levels, shifts]) => format!(", {}, {shifts} shifts", count_of(levels, "level")),
                None => String::new(),
            };
            format!("{kind}, {} of max|Ah y|{mark}: lambda {}{over}", short(stated.relative), short(stated.absolute))
        }
    }
}
