//! Which images of a scan are reconstructed.

use linops::io::{Pick, ScanChoice};

/// Options of scans from HDF5 files, and of arrays with several images.
#[derive(clap::Args)]
#[command(next_help_heading = "Scans (.h5, .mrd), and arrays of several images")]
#[group(skip)]
pub struct Args {
    /// The group of the file that holds the scan [default: the only one that does]
    #[arg(long, value_name = "NAME")]
    group: Option<String>,

    /// The encoding of the header
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    encoding: usize,

    /// Slices: 3, 0:4 (0 to 3), 0,2,5 or all; several give a stack, a leading axis of the output [default: the
    /// first there is, of arrays all]
    #[arg(long, value_name = "PICK")]
    slice: Option<Pick>,

    /// Repetitions, as --slice
    #[arg(long, value_name = "PICK")]
    repetition: Option<Pick>,

    /// Contrasts (echoes), as --slice
    #[arg(long, value_name = "PICK")]
    contrast: Option<Pick>,

    /// Sets, as --slice
    #[arg(long, value_name = "PICK")]
    set: Option<Pick>,

    /// Phases (of the heart), as --slice
    #[arg(long, value_name = "PICK")]
    phase: Option<Pick>,

    /// Averages, as --slice [default: their mean]
    #[arg(long, value_name = "PICK")]
    average: Option<Pick>,

    /// Do not pre-whiten k-space (and maps) by the noise scan of the file
    #[arg(long)]
    no_whiten: bool,
}

impl Args {
    /// What is read; coils that are combined as they are stay `unwhitened`.
    pub fn choice(&self, unwhitened: bool) -> ScanChoice {
        let pick = |pick: &Option<Pick>| pick.clone().unwrap_or_default();
        ScanChoice::default()
            .group(self.group.clone())
            .encoding(self.encoding)
            .slice(pick(&self.slice))
            .repetition(pick(&self.repetition))
            .contrast(pick(&self.contrast))
            .set(pick(&self.set))
            .phase(pick(&self.phase))
            .average(pick(&self.average))
            .whiten(!self.no_whiten && !unwhitened)
    }

    /// Whether more than one image is asked for by a counter that frames may have.
    pub fn several(&self) -> bool {
        let counters = [&self.repetition, &self.contrast, &self.set, &self.phase, &self.average];
        counters.into_iter().flatten().any(Pick::is_stack)
    }

    /// A choice of images, if one was given.
    pub fn frames(&self) -> Option<&'static str> {
        let all = [
            ("--slice", &self.slice),
            ("--repetition", &self.repetition),
            ("--contrast", &self.contrast),
            ("--set", &self.set),
            ("--phase", &self.phase),
            ("--average", &self.average),
        ];
        all.into_iter().find(|(_, given)| given.is_some()).map(|(name, _)| name)
    }

    /// An option that is only for scans, if one was given.
    pub fn of_scans(&self) -> Option<&'static str> {
        let all =
            [("--group", self.group.is_some()), ("--encoding", self.encoding > 0), ("--no-whiten", self.no_whiten)];
        all.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }
}
