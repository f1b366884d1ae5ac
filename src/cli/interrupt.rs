//! Ctrl-C, and what ends programs from afar: SIGTERM, as batch systems send it, and SIGHUP, when the terminal goes.
//!
//! During a solve the first one asks the solver to stop, so that the image so far can be written; a second one, or one at any
//! other time, ends the program at once and leaves no partial output. Those that come within a second of the first are the first
//! again: batch systems send one to the program and one to its group.

use super::INTERRUPTED;
use super::printer::complain;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static SOLVING: AtomicBool = AtomicBool::new(false);
static STOP: AtomicBool = AtomicBool::new(false);

/// Signals that come within this time are one.
const SAME: Duration = Duration::from_secs(1);

/// Starts listening.
pub fn install() {
    let mut first: Option<Instant> = None;
    listen(move || {
        if SOLVING.load(Ordering::SeqCst) && !STOP.swap(true, Ordering::SeqCst) {
            first = Some(Instant::now());
            return;
        }
        if first.is_some_and(|first| first.elapsed() < SAME) {
            return;
        }
        linops::io::discard_unfinished();
        let again = STOP.load(Ordering::SeqCst);
        complain(if again { "interrupted again; ended at once" } else { "interrupted; nothing was written" });
        std::process::exit(i32::from(INTERRUPTED));
    });
}

/// Calls `handler` for each signal, from a thread of its own. Without one a signal still ends the program, only less tidily.
#[cfg(unix)]
fn listen(mut handler: impl FnMut() + Send + 'static) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    let (ready, listening) = std::sync::mpsc::channel();
    let listener = move || {
        // Here, so that the signals are taken over only if there is a thread that hears them.
        let ignored = ignored();
        let signals = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
        let signals = Signals::new(signals);
        let _ = ready.send(());
        if let Ok(mut signals) = signals {
            signals.forever().for_each(|_| handler());
        }
    };
    if std::thread::Builder::new().name("signals".into()).spawn(listener).is_ok() {
        let _ = listening.recv();
    }
}

/// The signals that the program was started to ignore, as nohup does with SIGHUP: they are not to be heard. Bit n − 1 is
/// signal n.
#[cfg(unix)]
fn ignored() -> u64 {
    // There is no other safe way to ask; where there is no such file, none counts as ignored.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Calls `handler` for each Ctrl-C or Ctrl-Break, and when the console or the session ends.
#[cfg(windows)]
fn listen(handler: impl FnMut() + Send + 'static) {
    let _ = ctrlc::set_handler(handler);
}

/// As long as this lives, the first signal only asks to stop.
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
