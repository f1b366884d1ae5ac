//! Mesa's complaint about a missing `XDG_RUNTIME_DIR`.
//!
//! On Linux without a desktop session, a layer of Mesa that looks for the window system's choice of a GPU prints "error:
//! XDG_RUNTIME_DIR is invalid or not set" to stderr whenever adapters are listed. The layer can be left out by a variable, but
//! variables can be set safely only for a program that is about to start: so the program starts itself once more, in its own
//! place. That takes about a millisecond, and process number, signals, streams and exit code stay what they are.

/// Starts the program again where the layer would complain, and leaves it alone where somebody may want the layer.
#[cfg(target_os = "linux")]
pub fn hush() {
    use std::os::unix::process::CommandExt;
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let session = std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|path| std::path::Path::new(&path).is_absolute());
    // It cannot come here twice: the first name is what is set below.
    let wanted = ["NODEVICE_SELECT", "MESA_VK_DEVICE_SELECT", "DRI_PRIME"].into_iter().any(set);
    if session || wanted {
        return;
    }
    let mut arguments = std::env::args_os();
    let (Ok(program), Some(name)) = (std::env::current_exe(), arguments.next()) else { return };
    // It comes back only if it failed; then Mesa has its say.
    let _ = std::process::Command::new(program).arg0(name).args(arguments).env("NODEVICE_SELECT", "1").exec();
}

/// There is no such layer.
#[cfg(not(target_os = "linux"))]
pub fn hush() {}
