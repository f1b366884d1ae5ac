//! Sums of many terms: a kernel binds so many buffers and no more.

use crate::access::Load;
use crate::error::Result;
use crate::plan::{StepKernel, Steps};
use crate::primitive::map::MapKernel;

/// Cuts sums into a left fold of groups, each of as many terms as one kernel binds.
pub(super) fn cut_sums(s: &mut Steps) -> Result<()> {
    for at in 0..s.end() {
        let Some(step) = s.get(at) else { continue };
        let Some(sum) = step.kernel.of_type::<MapKernel>() else { continue };
        let weighed = sum.loads.iter().any(|l| !l.factors.is_empty());
        let groups = groups(&sum.loads, if weighed { s.target.max_factors() } else { s.target.max_terms() });
        if groups.len() < 2 {
            continue;
        }
        let extents = sum.loads[0].extents.clone();
        let complex = s.values[step.store.value.at()].complex;
        let (mut loads, kernels) = (sum.loads.clone().into_iter(), groups.len());
        let mut before = None;
        for (k, terms) in groups.into_iter().enumerate() {
            let group: Vec<Load> = before.take().into_iter().chain(loads.by_ref().take(terms)).collect();
            let kernel = StepKernel::on(MapKernel::sum(group), &s.target);
            if k + 1 == kernels {
                s.replace(at, kernel);
                break;
            }
            let value = s.value(extents.clone(), complex);
            s.insert_before(at, kernel, value);
            before = Some(Load::whole(value, &extents));
        }
    }
    Ok(())
}

/// How many terms each kernel takes; all but the first bind the sum so far, too.
fn groups(loads: &[Load], most: usize) -> Vec<usize> {
    let mut groups = Vec::new();
    let (mut terms, mut bound) = (0, 0);
    for load in loads {
        let needs = 1 + load.factors.len();
        let held = terms + usize::from(!groups.is_empty());
        if held > 1 && bound + needs > most {
            groups.push(terms);
            (terms, bound) = (0, 1);
        }
        terms += 1;
        bound += needs;
    }
    groups.push(terms);
    groups
}
