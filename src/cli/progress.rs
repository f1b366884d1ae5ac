//! Progress of long work, on stderr and only where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use linops::solve::Reading;
use std::time::Duration;

/// A bar over a solver's iterations. It is there from the start, with a clock: of large problems the first reading takes a while.
pub fn iterations(most: usize) -> ProgressBar {
    let bar = ProgressBar::new(most as u64).with_message("before the first reading");
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} iterations, {elapsed}, {msg}") {
        bar.set_style(style);
    }
    ticking(&bar);
    bar
}

/// Moves the bar to a reading of the residual.
pub fn reading(bar: &ProgressBar, p: Reading) {
    bar.set_position(p.iteration as u64);
    bar.set_message(format!("residual {:.1e}", p.residual));
}

/// Moves the bar to a reading of an objective.
pub fn objective(bar: &ProgressBar, p: linops::convex::Reading) {
    bar.set_position(p.iteration as u64);
    bar.set_message(format!("objective {:.4e}", p.objective));
}

/// A sign of life while something of unknown length runs.
pub fn spinner(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what);
    ticking(&bar);
    bar
}

/// By a thread of its own, for a bar that is seen.
fn ticking(bar: &ProgressBar) {
    if !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(100));
    }
}
