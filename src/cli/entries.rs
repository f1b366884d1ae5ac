//! Arrays of archives that are not named: the one that fits what it is read for.

use linops::io::{Format, npz_arrays, npz_entry};
use linops::{Error, Result};
use std::path::{Path, PathBuf};

/// What an array is read for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    Kspace,
    Maps,
    Mask,
    Trajectory,
}

impl Role {
    /// What such arrays are called.
    fn names(self) -> &'static [&'static str] {
        match self {
            Role::Kspace => &["kspace", "k_space", "ksp", "k", "data", "y"],
            Role::Maps => &["maps", "smaps", "sens", "sensmaps", "csm", "coil_maps", "sensitivities"],
            Role::Mask => &["mask", "sampling", "pattern"],
            Role::Trajectory => &["traj", "trajectory", "coord", "coords", "ktraj"],
        }
    }

    fn what(self) -> &'static str {
        match self {
            Role::Kspace => "k-space",
            Role::Maps => "maps",
            Role::Mask => "mask",
            Role::Trajectory => "trajectory",
        }
    }
}

/// Whether a file is an archive of which no array is named.
pub fn is_open(path: &Path) -> bool {
    let named = path.to_string_lossy().to_ascii_lowercase();
    let keyed = named.contains(".npz:") || named.starts_with("-:");
    !keyed && Format::of_input(path).is_some_and(|format| format.suffixes[0] == "npz")
}

/// Puts the name of the only array that fits behind that of an archive with several, and gives what there is to say about it.
///
/// # Errors
/// The archive cannot be read.
pub fn choose(path: &mut PathBuf, role: Role) -> Result<Option<String>> {
    if !is_open(path) {
        return Ok(None);
    }
    let arrays = npz_arrays(&*path)?;
    if arrays.len() < 2 {
        return Ok(None);
    }
    let names: Vec<&str> = arrays.iter().map(|(name, _)| name.as_str()).collect();
    let called = |word: &&str| names.iter().find(|name| name.eq_ignore_ascii_case(word)).copied();
    let by_name = role.names().iter().find_map(called);
    // Of what is called otherwise, the only one that is complex.
    let mut complex = arrays.iter().filter(|(_, held)| held.dtype.starts_with('c') && held.shape.len() > 1);
    let chosen = match (by_name, role, complex.next(), complex.next()) {
        (Some(name), ..) => name,
        (None, Role::Kspace, Some((only, _)), None) => only,
        _ => {
            let all: Vec<String> = arrays.iter().map(|(name, held)| format!("{name} {:?}", held.shape)).collect();
            let message = format!(
                "holds {} arrays, {}, and which of them is the {} is not plain; choose one, as in {}",
                arrays.len(),
                all.join(", "),
                role.what(),
                npz_entry(path, names[0]).display()
            );
            return Err(Error::file(&*path, message));
        }
    };
    let said = format!("{} is \"{chosen}\" of {}", role.what(), names.join(", "));
    *path = npz_entry(path, chosen);
    Ok(Some(said))
}
