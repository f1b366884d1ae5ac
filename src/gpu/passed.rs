//! That a device has passed its self-test, kept on disk: a driver that is the same, and kernels that are the same, give the same again.
//!
//! A file for each adapter, driver, limits and version of this crate, with a line for each program that has tested it: a program that
//! is built anew may bring other kernels.

use super::device_file::DeviceFile;
use crate::kept::{Folder, fnv};
use crate::shader::GpuLimits;
use std::time::UNIX_EPOCH;

/// Programs that are remembered.
const PROGRAMS: usize = 128;

/// Where that is kept of one device, for this program.
#[derive(Clone, Debug)]
pub(super) struct PassedFile {
    file: DeviceFile,
    program: String,
}

impl PassedFile {
    /// That of an adapter with these limits and choices of kernels; None where the driver does not tell its version, or the program's own
    /// file cannot be looked at.
    pub fn of(info: &wgpu::AdapterInfo, limits: &GpuLimits, folder: &Folder) -> Option<PassedFile> {
        if info.driver.is_empty() && info.driver_info.is_empty() {
            return None;
        }
        program().map(|program| PassedFile::of_program(info, limits, folder, program))
    }

    fn of_program(info: &wgpu::AdapterInfo, limits: &GpuLimits, folder: &Folder, program: String) -> PassedFile {
        PassedFile { file: DeviceFile::of("tested", info, &format!("{limits:?}"), folder), program }
    }

    fn programs(&self) -> Vec<String> {
        let kept = self.file.read();
        let text = kept.as_ref().and_then(|kept| std::str::from_utf8(kept.bytes()).ok()).unwrap_or_default();
        text.lines().map(str::to_string).collect()
    }

    /// Whether this program has seen the device pass.
    pub fn is_kept(&self) -> bool {
        self.programs().contains(&self.program)
    }

    /// Keeps that it has.
    pub fn keep(&self) {
        self.write(true);
    }

    /// Keeps that it has not.
    pub fn forget(&self) {
        if self.is_kept() {
            self.write(false);
        }
    }

    fn write(&self, passed: bool) {
        let mut programs = self.programs();
        programs.retain(|p| *p != self.program);
        programs.extend(passed.then(|| self.program.clone()));
        let surplus = programs.len().saturating_sub(PROGRAMS);
        let text = programs[surplus..].join("\n");
        if let Err(e) = self.file.write(text.as_bytes()) {
            tracing::info!("that the device has passed is not kept in {}: {e}", self.file.folder().display());
        }
    }
}

/// What this program is: the place, size and time of its file.
fn program() -> Option<String> {
    let path = std::env::current_exe().ok()?;
    let about = std::fs::metadata(&path).ok()?;
    let built = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let place = path.to_string_lossy();
    Some(format!("{:016x} {} {}", fnv(place.as_bytes()), about.len(), built.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::super::adapters::{Choice, find};
    use super::super::device::{Gpu, GpuOptions};
    use super::*;
    use crate::shader::KernelShape;

    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn what_passed_is_known_to_the_same_program_on_the_same_device() {
        let info = find(Choice::Any).unwrap().adapter.get_info();
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::at(temporary.path().to_path_buf());
        let limits = GpuLimits::rich();
        let of = |limits: &GpuLimits, program: &str| PassedFile::of_program(&info, limits, &folder, program.into());
        assert!(!of(&limits, "a").is_kept());
        of(&limits, "a").keep();
        of(&limits, "b").keep();
        assert!(of(&limits, "a").is_kept() && of(&limits, "b").is_kept() && !of(&limits, "c").is_kept());
        assert!(!of(&GpuLimits::poorest(KernelShape::Gpu), "a").is_kept());
        let other = wgpu::AdapterInfo { driver_info: "another version".into(), ..info.clone() };
        assert!(!PassedFile::of_program(&other, &limits, &folder, "a".into()).is_kept());
        (0..2 * PROGRAMS).for_each(|k| of(&limits, &format!("program {k}")).keep());
        assert!(!of(&limits, "a").is_kept() && of(&limits, "program 200").is_kept());
        assert_eq!(of(&limits, "a").programs().len(), PROGRAMS);
        assert!(program().is_some());
    }

    /// As in two processes.
    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn a_device_that_passed_is_not_tested_again() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::at(temporary.path().to_path_buf());
        let opened = || {
            let mut gpu = Gpu::open_with(Choice::Any, GpuOptions::default().disk_cache(Some(false))).unwrap();
            let info = find(Choice::Any).unwrap().adapter.get_info();
            let own = std::sync::Arc::get_mut(&mut gpu).unwrap();
            own.passed = PassedFile::of(&info, &GpuLimits::rich(), &folder);
            gpu
        };
        let fails = || Err(crate::error::Error::Device("wrong numbers".into()));
        for _ in 0..2 {
            assert!(opened().tested(fails).is_err(), "what failed is not kept");
        }
        opened().tested(|| Ok(())).unwrap();
        opened().tested(fails).unwrap();
        // A test that someone asks for has failed.
        opened().distrust();
        assert!(opened().tested(fails).is_err());
    }
}
