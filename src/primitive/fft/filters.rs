//! The passes over a plan's steps that find filters: a transform, weights on its result, the transform back.

use super::filter::Filter;
use super::host::{FilterKernel, WholeFft};
use crate::access::Post;
use crate::error::Result;
use crate::plan::{Side, Steps};

/// Weights of a filter that may be any multiple of those that they are made of.
const SMALL_TABLE: usize = 1 << 16;

/// Makes one step of each such pair.
///
/// # Errors
/// The weights' product cannot be made.
pub(crate) fn find_filters(s: &mut Steps) -> Result<()> {
    for at in 0..s.end() {
        let Some(step) = s.get(at) else { continue };
        // The step whose result is transformed back, and read by nothing else.
        let back = step.kernel.loads().first().filter(|l| !l.factors.is_empty() && step.kernel.loads().len() == 1);
        let Some(there) = back.and_then(|l| s.maker_for(l)) else { continue };
        if s.get(there).is_none_or(|t| t.scope != step.scope) {
            continue;
        }
        let filter = match s.target.side() {
            Side::Host(host) => on_host(s, there, at)?.map(|k| host.kernel(k)),
            Side::Gpu(gpu) => super::gpu::filter_pass(s, there, at).map(|k| gpu.kernel(k)),
        };
        if let Some(kernel) = filter {
            s.remove(there);
            s.replace(at, kernel);
        }
    }
    Ok(())
}

/// Two whole transforms as a filter; None where they are not that.
fn on_host(s: &Steps, there: usize, back: usize) -> Result<Option<FilterKernel>> {
    let kernel = |at: usize| s.get(at).and_then(|step| step.kernel.of_type::<WholeFft>());
    let (Some(there), Some(back)) = (kernel(there), kernel(back)) else { return Ok(None) };
    let extents = &back.load.extents;
    let axes: Vec<usize> = back.axes.iter().copied().filter(|&a| extents[a] > 1).collect();
    let opposite = there.axes == back.axes && there.inverse != back.inverse && there.centered == back.centered;
    if !opposite || axes.is_empty() || !there.post.factors.is_empty() || there.load.extents != *extents {
        return Ok(None);
    }
    // One table holds the product of all weights, which may be much larger than these.
    let weights = &back.load.factors;
    let table = Filter::table(extents, axes[0], weights).iter().product::<usize>();
    if table > SMALL_TABLE && table > 4 * weights.iter().map(|f| f.weight.len()).sum::<usize>() {
        return Ok(None);
    }
    let by = there.post.scale * back.load.scale;
    let filter = Filter::new(extents, &axes, (there.inverse, there.centered), weights, by)?;
    let post = Post { extents: extents.clone(), ..back.post.clone() };
    Ok(Some(FilterKernel { load: there.load.clone(), filter, post, sum: None }))
}
