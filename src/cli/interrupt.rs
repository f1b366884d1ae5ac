//! Ctrl-C. During a solve the first one asks the solver to stop, so that the image so far can be written; a second one, or
//! one at any other time, ends the program at once and leaves no partial output.

use super::INTERRUPTED;
use super::printer::complain;
use std::sync::atomic::{AtomicBool, Ordering};

static SOLVING: AtomicBool = AtomicBool::new(false);
static STOP: AtomicBool = AtomicBool::new(false);

/// Starts listening.
pub fn install() {
    let handler = || {
        if SOLVING.load(Ordering::SeqCst) && !STOP.swap(true, Ordering::SeqCst) {
            return;
        }
        linops::io::discard_unfinished();
        let again = STOP.load(Ordering::SeqCst);
        complain(if again { "interrupted again; ended at once" } else { "interrupted; nothing was written" });
        std::process::exit(i32::from(INTERRUPTED));
    };
    // Without a handler Ctrl-C still ends the program, only less tidily.
    let _ = ctrlc::set_handler(handler);
}

/// As long as this lives, the first Ctrl-C only asks to stop.
pub struct Solving(());

impl Solving {
    pub fn begin() -> Solving {
        SOLVING.store(true, Ordering::SeqCst);
        Solving(())
    }

    /// What a solver watches.
    pub fn stop(&self) -> &'static AtomicBool {
        &STOP
    }

    /// Whether the user asked to stop.
    pub fn interrupted(&self) -> bool {
        STOP.load(Ordering::SeqCst)
    }
}

impl Drop for Solving {
    fn drop(&mut self) {
        SOLVING.store(false, Ordering::SeqCst);
    }
}
