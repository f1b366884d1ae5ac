//! The command line, run as a user runs it.
#![cfg(feature = "cli")]

#[path = "../common/mod.rs"]
mod common;

mod arrays;
mod bad_input;
#[cfg(feature = "gpu")]
mod cache;
mod calibrate;
mod conventions;
mod ct;
mod doubts;
mod files;
mod finishing;
mod formats;
mod harness;
mod interrupt;
mod ismrmrd;
mod lanes;
mod linop_files;
mod noncartesian;
mod phantom;
mod pictures;
mod profile;
mod raw_scan;
mod recon;
mod regularised;
mod scans;
mod series;
mod suite;
mod troubles;
mod tune;
mod units;
mod usage;
mod volumes;
