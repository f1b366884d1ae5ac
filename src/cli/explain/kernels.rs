//! Kernels as files: `linops explain --kernels DIR`.

use linops::explain::Plan;
use linops::{Error, Result};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct KernelArgs {
    /// Write each kernel as a file into this folder
    #[arg(long, value_name = "DIR")]
    kernels: Option<PathBuf>,

    /// What the kernels' files are written in; several with commas between them
    #[arg(long, value_name = "LANGUAGE", requires = "kernels", default_value = "wgsl", value_delimiter = ',')]
    language: Vec<Language>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Language {
    /// As this program writes them
    Wgsl,
    /// For Vulkan: .spv
    Spirv,
    /// For DX12: .hlsl
    Hlsl,
    /// For Metal: .metal
    Msl,
}

impl KernelArgs {
    /// The folder, if kernels are to be written.
    pub fn folder(&self) -> Option<&Path> {
        self.kernels.as_deref()
    }

    /// Makes the folder, if need be: before anything is printed.
    pub fn make_folder(&self) -> Result<()> {
        self.folder().map_or(Ok(()), |path| {
            std::fs::create_dir_all(path).map_err(|e| Error::file(path, format!("cannot be made a folder: {e}")))
        })
    }

    /// Writes the kernels of a plan, if that is wanted, and gives the files' names. A kernel's name comes of its text: one that
    /// is there already is the same one.
    pub fn write(&self, plan: &Plan) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let Some(folder) = self.folder() else { return Ok(names) };
        for language in &self.language {
            for (name, code) in files(plan, *language)? {
                if is_there(&folder.join(&name), &code)? {
                    names.push(name);
                    continue;
                }
                let suffix = name.rsplit('.').next().unwrap_or_default();
                let output = linops::io::Output::create(folder.join(&name), &[suffix], true)?;
                let path = output.path().to_path_buf();
                let failed = |e| Error::file(path, format!("cannot write: {e}"));
                output.write(|out| out.write_all(&code).map_err(failed))?;
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Whether a file has these contents.
fn is_there(path: &Path, code: &[u8]) -> Result<bool> {
    match std::fs::read(path) {
        Ok(there) if there == code => Ok(true),
        Ok(_) => Err(Error::file(path, "exists with other contents; remove it, or choose another folder")),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::file(path, format!("cannot be read: {e}"))),
    }
}

/// Names and contents.
#[cfg(feature = "gpu")]
fn files(plan: &Plan, language: Language) -> Result<Vec<(String, Vec<u8>)>> {
    let language = match language {
        Language::Wgsl => linops::explain::Language::Wgsl,
        Language::Spirv => linops::explain::Language::Spirv,
        Language::Hlsl => linops::explain::Language::Hlsl,
        Language::Msl => linops::explain::Language::Msl,
    };
    Ok(plan.kernels(language)?.into_iter().map(|k| (k.file_name(), k.code)).collect())
}

/// There are none without GPU support.
#[cfg(not(feature = "gpu"))]
fn files(_: &Plan, _: Language) -> Result<Vec<(String, Vec<u8>)>> {
    Err(Error::Device("this build has no GPU support; build it with the feature gpu".into()))
}

/// The WGSL of a plan's kernels by name.
#[cfg(feature = "gpu")]
pub fn texts(plan: &Plan) -> Result<Vec<(String, String)>> {
    let kernels = plan.kernels(linops::explain::Language::Wgsl)?;
    Ok(kernels.into_iter().map(|k| (k.name, String::from_utf8_lossy(&k.code).into_owned())).collect())
}

/// There are none without GPU support.
#[cfg(not(feature = "gpu"))]
pub fn texts(plan: &Plan) -> Result<Vec<(String, String)>> {
    files(plan, Language::Wgsl).map(|_| Vec::new())
}
