//! Kernels in the languages that drivers are given them in, as wgpu translates the kernels that it trusts: without runtime
//! checks, and without zeros in workgroup memory. Those of a user's own have both.

use super::validate::{Reflected, validate};
use crate::error::{Error, Result};
use naga::back::{hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use std::fmt;

/// A language that kernels are written or translated in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// As this crate writes them.
    Wgsl,
    /// For Vulkan: SPIR-V 1.1.
    Spirv,
    /// For DX12: HLSL of shader model 5.1.
    Hlsl,
    /// For Metal: MSL 2.4.
    Msl,
}

impl Language {
    /// All of them.
    pub const ALL: [Language; 4] = [Language::Wgsl, Language::Spirv, Language::Hlsl, Language::Msl];

    /// What files of it are called by.
    pub fn suffix(self) -> &'static str {
        match self {
            Language::Wgsl => "wgsl",
            Language::Spirv => "spv",
            Language::Hlsl => "hlsl",
            Language::Msl => "metal",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::Wgsl => "WGSL",
            Language::Spirv => "SPIR-V",
            Language::Hlsl => "HLSL",
            Language::Msl => "MSL",
        })
    }
}

/// The bytes of a kernel's file in a language.
///
/// # Errors
/// naga's message, where it refuses the kernel or cannot translate it.
pub fn translate(name: &str, text: &str, language: Language) -> Result<Vec<u8>> {
    translated(name, text, language, false)
}

/// The same for a kernel of a user's own, with runtime checks.
///
/// # Errors
/// As for [`translate`].
pub(crate) fn translate_own(name: &str, text: &str, language: Language) -> Result<Vec<u8>> {
    translated(name, text, language, true)
}

fn translated(name: &str, text: &str, language: Language, checked: bool) -> Result<Vec<u8>> {
    let kernel = validate(name, text)?;
    let translated = match language {
        Language::Wgsl => Ok(text.as_bytes().to_vec()),
        Language::Spirv => spirv(&kernel, checked),
        Language::Hlsl => hlsl(&kernel, checked),
        Language::Msl => msl(&kernel, checked),
    };
    translated.map_err(|message| Error::Shader { kernel: name.to_string(), message: format!("{language}: {message}") })
}

fn bounds(checked: bool) -> BoundsCheckPolicies {
    let policy = if checked { BoundsCheckPolicy::Restrict } else { BoundsCheckPolicy::Unchecked };
    BoundsCheckPolicies { index: policy, buffer: policy, ..BoundsCheckPolicies::default() }
}

fn spirv(kernel: &Reflected, checked: bool) -> Result<Vec<u8>, String> {
    use spv::ZeroInitializeWorkgroupMemoryMode::{None, Polyfill};
    let options = spv::Options {
        lang_version: (1, 1),
        zero_initialize_workgroup_memory: if checked { Polyfill } else { None },
        force_loop_bounding: checked,
        bounds_check_policies: bounds(checked),
        ..spv::Options::default()
    };
    let words = spv::write_vec(&kernel.module, &kernel.info, &options, Option::None).map_err(|e| e.to_string())?;
    Ok(words.iter().flat_map(|w| w.to_le_bytes()).collect())
}

fn hlsl(kernel: &Reflected, checked: bool) -> Result<Vec<u8>, String> {
    let options = hlsl::Options {
        shader_model: hlsl::ShaderModel::V5_1,
        fake_missing_bindings: true,
        zero_initialize_workgroup_memory: checked,
        restrict_indexing: checked,
        force_loop_bounding: checked,
        ..hlsl::Options::default()
    };
    let (mut text, pipeline) = (String::new(), hlsl::PipelineOptions::default());
    hlsl::Writer::new(&mut text, &options, &pipeline)
        .write(&kernel.module, &kernel.info, None)
        .map_err(|e| e.to_string())?;
    Ok(text.into_bytes())
}

fn msl(kernel: &Reflected, checked: bool) -> Result<Vec<u8>, String> {
    let options = msl::Options {
        lang_version: (2, 4),
        fake_missing_bindings: true,
        zero_initialize_workgroup_memory: checked,
        force_loop_bounding: checked,
        bounds_check_policies: bounds(checked),
        ..msl::Options::default()
    };
    msl::write_string(&kernel.module, &kernel.info, &options, &msl::PipelineOptions::default())
        .map(|(text, _)| text.into_bytes())
        .map_err(|e| e.to_string())
}
