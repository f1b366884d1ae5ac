//! Host-side imaging pieces: simulated scans, coil maps, and what they need.

mod bessel;
pub mod coils;
mod dense;
pub mod fourier;
pub mod noise;
pub mod phantom;
pub mod scan;
pub mod sense;
mod sensitivity;

pub use coils::{CoilMaps, estimate_maps};
pub use phantom::{shepp_logan_image, shepp_logan_kspace};
pub use scan::{Scan, ScanOptions, scan};
pub use sense::{Reconstruction, Sense, SenseOptions, nrmse};
