//! Two regularisers at once: an image from a third of its k-space, with total variation and wavelets, by ADMM.
//!
//! `cargo run --release --example two_regularisers` prints the objective on its way and the errors of three reconstructions;
//! `-- picture.png` also writes them side by side: zero-filled, SENSE, regularised.

use linops::app::regularise::Regularisation;
use linops::app::{ScanOptions, Sense, nrmse, recon_options, scan};
use linops::convex::{ConvexOptions, Method, Problem, WaveletPenalty};
use linops::io::{Output, Window, panels, write_picture};
use linops::{Device, Result, Tensor};
use ndarray::Array2;
use num_complex::Complex32;

fn main() -> Result<()> {
    let device = Device::auto();
    let scan = scan(&ScanOptions::default().ny(128).nx(128).coils(6).acceleration(3))?;
    let sense = Sense::new(scan.maps.view(), scan.mask.view())?;

    // The problem by hand: any linop, any terms.
    let y = Tensor::from_array(scan.kspace.clone(), "C Ky Kx")?.to(&device)?;
    let problem = Problem::new(sense.linop(), &y)?;
    let scale = problem.scale()?;
    let wavelets = WaveletPenalty::default().wavelet("db2".parse()?).levels(3);
    let problem = problem.tv(1e-3 * scale, "Ny Nx")?.l1_wavelet(5e-4 * scale, "Ny Nx", &wavelets)?;
    let options = ConvexOptions::default().method(Some(Method::Admm)).progress(|p| {
        let r = p.reading();
        if r.iteration % 20 == 0 {
            println!("iteration {:3}: objective {:.6}, fell by {:.1e}", r.iteration, r.objective, r.change);
        }
    });
    let solved = problem.solve(options)?;
    println!("{} after {} iterations on {device}: misfit {:.4}", solved.stop, solved.iterations, solved.misfit);
    let image: Array2<Complex32> = (&solved.x.to(&Device::host())?).try_into()?;

    // The same by name.
    let terms = vec!["tv:0.001".parse()?, "l1-wavelet:0.0005".parse()?];
    let named = Regularisation::default().terms(terms).wavelet(wavelets);
    let again = sense.regularised(scan.kspace.view(), &named, None, ConvexOptions::default(), &device)?;
    assert!((again.solved.objective / solved.objective - 1.0).abs() < 1e-3);

    let filled = sense.zero_filled(scan.kspace.view(), &device)?;
    let plain = sense.solve(scan.kspace.view(), recon_options(), &device)?.image;
    let errors = [&filled, &plain, &image].map(|x| nrmse(x.view(), scan.reference.view()));
    println!("NRMSE: zero-filled {:.4}, SENSE {:.4}, regularised {:.4}", errors[0], errors[1], errors[2]);
    assert!(errors[2] < 0.8 * errors[1]);
    if let Some(path) = std::env::args().nth(1) {
        let shown = [("zero-filled", filled), ("SENSE", plain), ("regularised", image)];
        let items = shown.map(|(name, x)| (name, x.mapv(|v| v.norm()), Window::default()));
        write_picture(Output::create(&path, &["png"], true)?, &panels(&items))?;
        println!("wrote {path}");
    }
    Ok(())
}
