//! Imaging: simulated scans and trajectories, coil maps, density compensation, SENSE of Cartesian and other data; tomography;
//! pictures deconvolved, denoised, filled.

pub mod axes_doubt;
mod bessel;
pub mod cartesian;
pub mod coils;
pub mod compression;
pub mod conventions;
pub mod ct;
pub mod deconvolution;
pub mod denoising;
mod dense;
pub mod density;
pub mod least_squares;
pub mod maps_doubt;
mod maps_power;
mod neighbours;
pub mod noise;
pub mod noise_level;
mod noise_weight;
pub mod noncartesian;
pub mod partial_fourier;
pub mod phantom;
pub mod regularise;
pub mod sampled_scan;
mod scale;
pub mod scan;
pub mod sense;
mod sensitivity;
pub mod series;
pub mod trajectory;
pub mod volume_scan;
mod zero_fill;

pub use cartesian::Cartesian;
pub use coils::{CoilMaps, EspiritOptions, MapSets, WalshOptions, espirit, estimate_maps, walsh};
pub use compression::Compression;
pub use deconvolution::{
    Blur, Deconvolved, Doubt, NoiseToSignal, Outside, Psf, PsfCenter, RegularisedDeconvolution, RichardsonLucyOptions,
    Scene, are_counts,
};
pub use denoising::{Denoised, Denoising};
pub use least_squares::{Reconstruction, Regularised, recon_options, recon_weight};
pub use noise_level::{noise_level, reliable_noise_level};
pub use noise_weight::{KspaceNoise, noise_weight};
pub use noncartesian::{NonCartesian, calibrate_maps, grid_coils, gridded_kspace};
pub use partial_fourier::{PartialFourier, fill_partial};
pub use phantom::{airy_psf, cells_image, photons};
pub use phantom::{
    shepp_logan_image, shepp_logan_kspace, shepp_logan_projections, shepp_logan_tomogram, shepp_logan_volume,
    shepp_logan_volume_kspace,
};
pub use sampled_scan::{SampleOptions, SampledScan, head_kspace, sample_scan};
pub use scan::{Scan, ScanOptions, scan};
pub use sense::{Sense, nrmse};
pub use volume_scan::{VolumeScan, VolumeScanOptions, volume_scan};
pub use zero_fill::zero_fill;
