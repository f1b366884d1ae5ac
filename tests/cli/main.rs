//! The command line, run as a user runs it.
#![cfg(feature = "cli")]

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod ct;
mod files;
mod harness;
mod interrupt;
mod ismrmrd;
mod lanes;
mod linop_files;
mod noncartesian;
mod pictures;
mod recon;
mod regularised;
mod scans;
mod usage;
