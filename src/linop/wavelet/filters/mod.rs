//! Filters of the wavelet families: tables where they have no closed form, and splines by their formula.

mod coiflets;
mod daubechies;
mod splines;
mod symlets;

pub(super) use coiflets::COIFLETS;
pub(super) use daubechies::DAUBECHIES;
pub(super) use splines::{SPLINES, biorthogonal};
pub(super) use symlets::SYMLETS;
