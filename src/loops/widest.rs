//! The widest registers that the processor has.

use pulp::Arch;
use std::sync::LazyLock;

static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);

/// Runs loops as they are compiled for the widest registers of this processor; so is what is inlined into `f`, and nothing else. The
/// bits are those of any other registers: no product and sum become one, and sums keep their order.
#[inline(always)]
pub(crate) fn widest<R>(f: impl FnOnce() -> R) -> R {
    ARCH.dispatch(f)
}
