//! The threads of the host, started before the work: where they are first needed, they would be started by code that can only
//! panic if there are none to be had.

use linops::{Error, Result};
use std::num::NonZeroUsize;

/// More threads than any machine has, but far fewer than one that starts them survives.
const MOST: usize = 1024;

/// Starts them: as many as there are cores, or as `RAYON_NUM_THREADS` says.
pub fn start() -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = match std::env::var("RAYON_NUM_THREADS").ok().as_deref().map(str::trim) {
        // As rayon has it, 0 and what is no number are as if it were not said.
        None | Some("0") => cores,
        Some(text) if !text.bytes().all(|b| b.is_ascii_digit()) || text.is_empty() => cores,
        Some(text) => match text.parse() {
            Ok(n) if n <= MOST.max(cores) => n,
            _ => {
                let most = MOST.max(cores);
                let what = format!("RAYON_NUM_THREADS is \"{text}\", expected a number of threads from 1 to {most}");
                return Err(Error::Value(what));
            }
        },
    };
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|e| {
        let advice = "allow more processes or memory (ulimit -u, -v), or fewer threads (RAYON_NUM_THREADS)";
        Error::Device(format!("{threads} threads cannot be started ({e}); {advice}"))
    })
}
