//! The command line: one file for each verb, and what they share.
//!
//! A verb returns its exit code or an error. Here an error becomes one message on stderr and exit code 1, a fault of the
//! program too; wrong usage is 2, an interrupt 100. Results go to stdout, as text or, with `--json`, as one JSON value.

mod apply;
mod arrays;
mod axes;
mod bench;
mod calibrate;
mod centre;
mod check;
mod coil_maps;
mod common;
mod ct;
mod deconv;
mod demo;
mod denoise;
mod describe;
mod dtypes;
mod entries;
mod explain;
mod gaps;
mod grids;
mod info;
mod inpaint;
mod input;
mod inspect;
mod interrupt;
mod kspace;
mod lanes;
mod list;
mod mesa;
mod numbers;
mod output;
mod phantom;
mod pictures;
mod pretty;
mod printer;
mod progress;
mod recon;
mod regularise;
mod samples;
mod save;
mod shown;
mod threads;
mod tune;
mod warnings;

use clap::{Parser, Subcommand};
use linops::Result;
use printer::{Printer, complain};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// Linear operators with named dimensions, on any GPU or on the host.
#[derive(Parser)]
#[command(name = "linops", version, arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Simulate a multi-coil MRI scan, reconstruct it, and write demo.png
    Demo(demo::Args),
    Recon(Box<recon::Args>),
    Inspect(inspect::Args),
    Phantom(Box<phantom::Args>),
    Calibrate(Box<calibrate::Args>),
    Ct(Box<ct::Args>),
    Deconv(deconv::Args),
    Denoise(denoise::Args),
    Inpaint(inpaint::Args),
    /// Apply a linop file to an array
    Apply(apply::Args),
    /// Test a linop file's adjoint and normal on random data
    #[command(mut_arg("device", |a| a.help(check::DEVICE)))]
    Check(check::Args),
    /// Show a linop file's tree and the plan it runs by
    Explain(explain::Args),
    /// Time a linop file beside a copy kernel, or with --suite a fixed list of works
    Bench(bench::Args),
    /// Find the fastest kernels of a GPU by measuring, and keep them for later runs
    Tune(tune::Args),
    /// Write a linop file anew, in one place with its arrays
    Save(save::Args),
    /// List the ops that a linop file can name
    List(list::Args),
    /// Describe an op of linop files: what it computes, its fields, an example
    Describe(describe::Args),
    /// Show the devices of this machine and what this build can do
    Info(info::Args),
}

/// Everything worked.
const DONE: u8 = 0;
/// An error, or a check that failed.
const FAILED: u8 = 1;
/// Arguments that make no sense.
const MISUSED: u8 = 2;
/// The user interrupted; never a higher code than this.
const INTERRUPTED: u8 = 100;

/// Reads the arguments, runs the verb, and says what went wrong.
pub fn main() -> ExitCode {
    let mut args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            // Help and version come this way too. A closed pipe is no reason to fail.
            let _ = e.print();
            return ExitCode::from(e.exit_code().clamp(0, i32::from(MISUSED)) as u8);
        }
    };
    if let Err(misuse) = args.verb.check() {
        complain(&misuse);
        return ExitCode::from(MISUSED);
    }
    if args.verb.lists_adapters() {
        mesa::hush();
    }
    interrupt::install();
    match catch_unwind(AssertUnwindSafe(|| args.verb.begin())) {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(e)) => {
            complain(&e.to_string());
            ExitCode::from(FAILED)
        }
        // What happened, and where, has been printed by then.
        Err(_) => {
            complain("this is a fault of the program; please report it with the message above");
            ExitCode::from(FAILED)
        }
    }
}

impl Verb {
    /// The options of a verb that computes.
    fn common(&self) -> Option<&common::Common> {
        match self {
            Verb::Demo(a) => Some(&a.common),
            Verb::Recon(a) => Some(&a.common),
            Verb::Phantom(_) => None,
            Verb::Calibrate(a) => Some(&a.common),
            Verb::Ct(a) => Some(&a.common),
            Verb::Deconv(a) => Some(&a.common),
            Verb::Denoise(a) => Some(&a.common),
            Verb::Inpaint(a) => Some(&a.common),
            Verb::Apply(a) => Some(&a.common),
            Verb::Check(a) => Some(&a.common),
            Verb::Explain(a) => Some(&a.common),
            Verb::Bench(a) => Some(&a.common),
            Verb::Tune(a) => Some(&a.common),
            Verb::Inspect(_) | Verb::Save(_) | Verb::List(_) | Verb::Describe(_) | Verb::Info(_) => None,
        }
    }

    fn json(&self) -> bool {
        match self {
            Verb::Inspect(a) => a.json,
            Verb::Phantom(a) => a.json,
            Verb::Save(a) => a.json,
            Verb::List(a) => a.json,
            Verb::Describe(a) => a.json,
            Verb::Info(a) => a.json,
            other => other.common().is_some_and(|c| c.json),
        }
    }

    /// Whether the arguments go together, as far as that shows without a look at any file.
    fn check(&self) -> Result<(), String> {
        match self {
            Verb::Recon(a) => a.check(),
            Verb::Inspect(a) => a.check(),
            Verb::Phantom(a) => a.check(),
            Verb::Calibrate(a) => a.check(),
            Verb::Apply(a) => a.check(),
            Verb::Ct(a) => a.check(),
            Verb::Deconv(a) => a.check(),
            Verb::Denoise(a) => a.check(),
            Verb::Inpaint(a) => a.check(),
            _ => Ok(()),
        }
    }

    fn lists_adapters(&self) -> bool {
        cfg!(feature = "gpu")
            && match self {
                Verb::Explain(a) => a.lists_adapters(),
                Verb::Inspect(_) | Verb::Phantom(_) | Verb::Save(_) | Verb::List(_) | Verb::Describe(_) => false,
                other => other.common().is_none_or(|c| c.lists_adapters()),
            }
    }

    /// Makes ready what all verbs need, and runs.
    fn begin(&mut self) -> Result<u8> {
        match self {
            Verb::Recon(a) => a.choose_entries()?,
            Verb::Calibrate(a) => a.choose_entries()?,
            _ => {}
        }
        // Points of a linop file are prepared by several threads as well.
        if self.common().is_some() || matches!(self, Verb::Save(_) | Verb::Phantom(_)) {
            threads::start()?;
        }
        let printer = Printer::new(self.json());
        let code = self.run(&printer)?;
        printer.finish().map(|()| code)
    }

    fn run(&self, printer: &Printer) -> Result<u8> {
        match self {
            Verb::Demo(a) => demo::run(a, printer),
            Verb::Recon(a) => recon::run(a, printer),
            Verb::Inspect(a) => inspect::run(a, printer),
            Verb::Phantom(a) => phantom::run(a, printer),
            Verb::Calibrate(a) => calibrate::run(a, printer),
            Verb::Ct(a) => ct::run(a, printer),
            Verb::Deconv(a) => deconv::run(a, printer),
            Verb::Denoise(a) => denoise::run(a, printer),
            Verb::Inpaint(a) => inpaint::run(a, printer),
            Verb::Apply(a) => apply::run(a, printer),
            Verb::Check(a) => check::run(a, printer),
            Verb::Explain(a) => explain::run(a, printer),
            Verb::Bench(a) => bench::run(a, printer),
            Verb::Tune(a) => tune::run(a, printer),
            Verb::Save(a) => save::run(a, printer),
            Verb::List(a) => list::run(a, printer),
            Verb::Describe(a) => describe::run(a, printer),
            Verb::Info(a) => info::run(a, printer),
        }
    }
}
