//! Host-side imaging pieces: simulated scans, coil maps, and what they need.

mod bessel;
pub mod coils;
mod dense;
pub mod fourier;
pub mod noise;
pub mod phantom;
pub mod scan;
mod sensitivity;

pub use coils::{CoilMaps, estimate_maps};
pub use phantom::{shepp_logan_image, shepp_logan_kspace};
pub use scan::{Scan, ScanOptions, scan};
