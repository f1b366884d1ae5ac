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
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    share_heap(threads);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|e| {
        let advice = "allow more processes or memory (ulimit -u, -v), or fewer threads (RAYON_NUM_THREADS)";
        Error::Device(format!("{threads} threads cannot be started ({e}); {advice}"))
    })
}

/// glibc takes 64 MiB of addresses for a heap of each thread. Where addresses are limited (`ulimit -v`, the memory of a cluster's job) that
/// is room which the work needs, and a thread for whose heap none is left takes a page for each small value. There all have one heap. It
/// is the environment that says so, from the start: the program begins once more, which returns only if it cannot.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn share_heap(threads: usize) {
    use std::os::unix::process::CommandExt;
    const HEAPS: &str = "MALLOC_ARENA_MAX";
    // For who has lost the other on the way.
    const AGAIN: &str = "LINOPS_ONE_HEAP";
    const HEAP: u64 = 64 << 20;
    // As a part of all addresses: less is no matter.
    const PART: u64 = 16;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let addresses = limits.lines().find_map(|line| line.strip_prefix("Max address space")?.split_whitespace().next());
    let few = addresses.and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n / PART < HEAP * threads as u64);
    if !few || [HEAPS, AGAIN].iter().any(|name| std::env::var_os(name).is_some()) {
        return;
    }
    let (Ok(program), mut arguments) = (std::env::current_exe(), std::env::args_os()) else { return };
    // What a loader was asked to run is not what runs.
    let own = arguments.next().unwrap_or_default();
    if program.file_name() != std::path::Path::new(&own).file_name() {
        return;
    }
    let mut again = std::process::Command::new(program);
    let _ = again.arg0(own).args(arguments).env(HEAPS, "1").env(AGAIN, "1").exec();
}
