//! One work: its first apply, then latency, throughput and the host's share in turn, then its steps.

use super::works::{Made, Scale, Work};
use crate::cli::bench::{filled, median};
use crate::cli::common::expect_memory;
use crate::cli::gaps::Gap;
use linops::profile::{Clock, ProfileOptions, Roof};
use linops::solve::{SolveOptions, cg};
use linops::{DType, Device, Error, Linop, Result, Tensor};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Applies that are in flight at once at most: fewer than the device takes before it holds the caller back.
const IN_FLIGHT: usize = 16;

/// Seconds of a first apply from which on a work is a slow one.
const SLOW: f64 = 4.0;

/// How long works are measured.
#[derive(Clone, Copy)]
pub struct Pace {
    /// Rounds of a work at most, and at least.
    rounds: (usize, usize),
    /// No round is begun after this long.
    patience: Duration,
    /// Applies are repeated in a round for so long.
    batch: f64,
    /// Runs that are looked at step by step.
    profiled: usize,
}

impl Pace {
    pub fn of(scale: Scale) -> Pace {
        match scale {
            Scale::Full => Pace { rounds: (15, 3), patience: Duration::from_millis(1500), batch: 0.05, profiled: 10 },
            Scale::Quick => Pace { rounds: (5, 2), patience: Duration::from_millis(150), batch: 0.01, profiled: 3 },
        }
    }

    /// Works that take seconds run once.
    fn for_one_of(self, seconds: f64) -> Pace {
        match seconds > SLOW {
            true => Pace { rounds: (1, 1), profiled: 1, ..self },
            false => self,
        }
    }
}

/// What was measured of a work.
pub struct Row {
    pub name: String,
    /// Seconds of the first apply with its wait: planning and compiling are part of it.
    pub first: f64,
    /// Seconds of an apply with its wait; of a solve, of an iteration.
    pub latency: f64,
    /// Seconds of one of many applies in a row; none of a solve.
    pub throughput: Option<f64>,
    /// Seconds after which an apply returns on a GPU.
    pub host: Option<f64>,
    /// Iterations of a solve.
    pub iterations: Option<usize>,
    pub rounds: usize,
    /// What told the time of steps, and seconds of all of them.
    pub steps: (Clock, f64),
    /// Bytes and flops of the plan.
    pub cost: linops::explain::Cost,
    /// Seconds of a copy of as many bytes.
    pub copy: f64,
    pub gaps: Vec<Gap>,
}

impl Row {
    /// The time that counts where work goes on: of one among many, else of one alone.
    pub fn seconds(&self) -> f64 {
        self.throughput.unwrap_or(self.latency)
    }

    pub fn bytes(&self) -> u64 {
        self.cost.read + self.cost.written
    }

    pub fn value(&self) -> Value {
        json!({
            "name": self.name,
            "first_seconds": self.first,
            "latency_seconds": self.latency,
            "throughput_seconds": self.throughput,
            "host_seconds": self.host,
            "iterations": self.iterations,
            "rounds": self.rounds,
            "clock": self.steps.0,
            "steps_seconds": self.steps.1,
            "cost": self.cost,
            "bytes_per_second": self.bytes() as f64 / self.seconds(),
            "copy_seconds": self.copy,
            "of_copy": self.copy / self.seconds(),
            "steps": self.gaps.iter().map(Gap::value).collect::<Vec<_>>(),
        })
    }
}

/// What becomes of a work.
pub enum Outcome {
    Measured(Box<Row>),
    /// It does not fit; why.
    Skipped(String),
    /// It should have run.
    Failed(String),
}

/// Measures a work on a device.
pub fn measure(work: &Work, device: &Device, roof: &Roof, pace: Pace) -> Outcome {
    match measured(work, device, roof, pace) {
        Ok(row) => Outcome::Measured(Box::new(row)),
        Err(e) => match e.root() {
            Error::OutOfMemory(_) | Error::TooBig { .. } => Outcome::Skipped(format!("does not fit: {e}")),
            _ => Outcome::Failed(e.to_string()),
        },
    }
}

fn measured(work: &Work, device: &Device, roof: &Roof, pace: Pace) -> Result<Row> {
    let made = work.make()?;
    let (Made::Apply(a) | Made::Solve { normal: a, .. }) = &made;
    expect_memory(a, DType::Complex32, device)?;
    let x = filled(a.input()?, DType::Complex32)?.to(device)?;
    let start = Instant::now();
    let run = |a: &Linop| -> Result<()> {
        let y = a.apply(&x)?;
        device.wait()?;
        drop(y);
        Ok(())
    };
    run(a)?;
    let first = start.elapsed().as_secs_f64();
    let pace = pace.for_one_of(first);
    let mut row = match &made {
        Made::Apply(a) => applied(a, &x, device, pace)?,
        Made::Solve { normal, iterations } => solved(normal, &x, *iterations, device, pace)?,
    };
    let warm_up = usize::from(pace.profiled > 1);
    let options = ProfileOptions::default().runs(pace.profiled).warm_up(warm_up).patience(pace.patience);
    let profile = a.profile(&x, &options)?;
    let cost = a.plan(device, DType::Complex32)?.cost();
    (row.name, row.first, row.cost) = (work.name.clone(), first, cost);
    row.steps = (profile.clock, profile.seconds());
    row.copy = roof.copy_seconds(cost.read + cost.written);
    // The steps of a solve are those of its normal, which is a work of its own.
    if row.iterations.is_none() {
        row.gaps = Gap::all(&work.name, &profile, roof);
    }
    Ok(row)
}

fn empty() -> Row {
    Row {
        name: String::new(),
        first: 0.0,
        latency: 0.0,
        throughput: None,
        host: None,
        iterations: None,
        rounds: 0,
        steps: (Clock::Host, 0.0),
        cost: Default::default(),
        copy: 0.0,
        gaps: Vec::new(),
    }
}

/// Latency and throughput in turn.
fn applied(a: &Linop, x: &Tensor, device: &Device, pace: Pace) -> Result<Row> {
    let alone = || -> Result<f64> {
        let start = Instant::now();
        let y = a.apply(x)?;
        device.wait()?;
        let seconds = start.elapsed().as_secs_f64();
        drop(y);
        Ok(seconds)
    };
    let warm = alone()?;
    let count = ((pace.batch / warm.max(1e-9)) as usize).clamp(1, IN_FLIGHT);
    let (mut latencies, mut throughputs, mut hosts) = (Vec::new(), Vec::new(), Vec::new());
    rounds(pace, || {
        for _ in 0..count {
            latencies.push(alone()?);
        }
        let start = Instant::now();
        for _ in 0..count {
            drop(a.apply(x)?);
        }
        hosts.push(start.elapsed().as_secs_f64() / count as f64);
        device.wait()?;
        throughputs.push(start.elapsed().as_secs_f64() / count as f64);
        Ok(())
    })?;
    let rounds = throughputs.len();
    Ok(Row {
        latency: median(&mut latencies),
        throughput: Some(median(&mut throughputs)),
        host: (!device.is_host()).then(|| median(&mut hosts)),
        rounds,
        ..empty()
    })
}

/// An iteration of conjugate gradients.
fn solved(normal: &Linop, b: &Tensor, iterations: usize, device: &Device, pace: Pace) -> Result<Row> {
    let solve = || -> Result<f64> {
        let start = Instant::now();
        // To the end: a tolerance of 0 is never reached before float32's own.
        let options = SolveOptions::default().iterations(iterations).tol(0.0).lambda(1e-2).check_every(iterations);
        let done = cg(normal, b, options)?;
        device.wait()?;
        Ok(start.elapsed().as_secs_f64() / done.iterations.max(1) as f64)
    };
    solve()?;
    let mut each = Vec::new();
    rounds(pace, || {
        each.push(solve()?);
        Ok(())
    })?;
    let rounds = each.len();
    Ok(Row { latency: median(&mut each), iterations: Some(iterations), rounds, ..empty() })
}

fn rounds(pace: Pace, mut round: impl FnMut() -> Result<()>) -> Result<()> {
    let begin = Instant::now();
    let (most, least) = pace.rounds;
    for k in 0..most {
        if k >= least && begin.elapsed() > pace.patience {
            break;
        }
        round()?;
    }
    Ok(())
}
