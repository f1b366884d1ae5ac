//! What runs for a linop: its plan, and the plan's kernels in the languages that drivers are given. No device is needed.
//!
//! ```
//! # #[cfg(feature = "gpu")]
//! # fn main() -> linops::Result<()> {
//! use linops::DType;
//! use linops::explain::{Language, Target};
//! let f = linops::linop::fft("C=4 N=60", "N", Default::default())?;
//! let plan = f.plan_for(&Target::poorest(), DType::Complex32)?;
//! println!("{plan}");
//! for kernel in plan.kernels(Language::Hlsl)? {
//!     println!("{}: {} bytes", kernel.file_name(), kernel.code.len());
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "gpu"))]
//! # fn main() {}
//! ```

use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::kept::fnv;
use crate::linop::Linop;
use crate::plan::PlanOptions;
#[cfg(feature = "gpu")]
use crate::shader::{translate, translate_own};
use crate::tensor::DType;

pub use crate::plan::{Cost, Plan, Target};
#[cfg(feature = "gpu")]
pub use crate::shader::Language;

impl Linop {
    /// The plan for a kind of device, which need not be there.
    ///
    /// # Errors
    /// The linop carries an error, or the target cannot run it.
    pub fn plan_for(&self, target: &Target, dtype: DType) -> Result<Plan> {
        self.planned(target, dtype, &PlanOptions::default())
    }
}

/// A kernel, translated.
#[cfg(feature = "gpu")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kernel {
    /// Its family.
    pub name: String,
    /// What it is written in.
    pub language: Language,
    /// The contents of its file: text, or the bytes of SPIR-V.
    pub code: Vec<u8>,
    /// What tells it from others of its family, in any language.
    key: u64,
}

#[cfg(feature = "gpu")]
impl Kernel {
    /// A name for its file: the family, a number that tells it from others of its family, and the language's suffix.
    pub fn file_name(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let family: String = self.name.chars().map(plain).collect();
        format!("{}-{:016x}.{}", family.trim_matches('-'), self.key, self.language.suffix())
    }
}

#[cfg(feature = "gpu")]
impl Plan {
    /// The kernels that a GPU compiles for this plan, each once.
    ///
    /// # Errors
    /// The plan is for the host, which runs no kernels; a dispatch does not fit the target; a kernel cannot be translated.
    pub fn kernels(&self, language: Language) -> Result<Vec<Kernel>> {
        let mut seen = std::collections::HashSet::new();
        let mut all = Vec::new();
        for step in &self.steps {
            for draft in step.drafts(self)? {
                let key = fnv(draft.text.as_bytes());
                if seen.insert(key) {
                    let translate = if draft.own.is_some() { translate_own } else { translate };
                    all.push(Kernel {
                        code: translate(&draft.name, &draft.text, language)?,
                        name: draft.name,
                        language,
                        key,
                    });
                }
            }
        }
        Ok(all)
    }
}
