//! A file of the cache folder that belongs to one device: what was compiled for it, measured on it, and shown of it.

use crate::kept::{Folder, Kept, fnv};
use std::io;
use std::path::Path;

/// A file of one kind, for an adapter, its driver, this version of the crate, and what else its contents depend on.
#[derive(Clone, Debug)]
pub(super) struct DeviceFile {
    folder: Folder,
    name: String,
    key: String,
}

impl DeviceFile {
    /// That of an adapter by vendor and number. `kind` begins the file's name.
    pub fn of(kind: &str, info: &wgpu::AdapterInfo, more: &str, folder: &Folder) -> DeviceFile {
        let adapter = format!("{} {:x} {:x}", info.backend, info.vendor, info.device);
        DeviceFile::of_adapter(kind, &adapter, info, more, folder)
    }

    /// That of an adapter as somebody else tells it apart.
    pub fn of_adapter(kind: &str, adapter: &str, info: &wgpu::AdapterInfo, more: &str, folder: &Folder) -> DeviceFile {
        let wgpu::AdapterInfo { name, driver, driver_info, .. } = info;
        let version = env!("CARGO_PKG_VERSION");
        let key = format!("{adapter}\n{name}\n{driver}\n{driver_info}\nlinops {version}\n{more}");
        let name = format!("{kind}-{}-{:016x}", info.backend.to_str(), fnv(key.as_bytes()));
        DeviceFile { folder: folder.clone(), name, key }
    }

    /// What tells it apart.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The contents, if they are there and whole.
    pub fn read(&self) -> Option<Kept> {
        self.folder.read(&self.name, &self.key)
    }

    /// Replaces the contents.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn write(&self, contents: &[u8]) -> io::Result<()> {
        self.folder.write(&self.name, &self.key, contents)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
