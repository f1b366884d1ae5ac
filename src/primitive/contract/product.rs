//! Einsums that are matrix products.
//!
//! y[o, m, n] = Σₖ w[b, m, k]·x[o, k, n], where b counts what the weight has of o. A label of y that only the weight has is m, one
//! that both have but not y is k; what stands behind m in y is n, and where nothing does, the last labels before it that the
//! weight lacks are (the result is then stored column by column).

use super::Contract;
use crate::access::{Access, AxisIndex, Load};
use std::ops::Range;

/// Fewest rows, columns and terms for which a product is worth its packing.
const LEAST: usize = 4;

/// How the labels of an einsum make a matrix product.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Product {
    /// Number of products, of rows, of columns, of terms.
    pub outer: usize,
    pub rows: usize,
    pub columns: usize,
    pub terms: usize,
    /// Products and columns of one sub-linop of a batch.
    pub one: (usize, usize),
    /// Whether y has the columns in front of the rows.
    pub turned: bool,
    /// Extents of the outer labels, and how many matrices of the weight one step along each goes.
    pub matrices: Vec<(usize, usize)>,
    /// Where the weight is read, over (matrix labels, rows, terms), and their extents.
    pub weight: Access,
    pub weight_extents: Vec<usize>,
    /// How many of its axes are matrix labels, and how many rows.
    pub matrix_axes: usize,
    pub row_axes: usize,
    /// The labels of x as (outer, terms, columns), by their axes in x.
    order: Vec<usize>,
    /// Axes of (outer, terms, columns) in `order`.
    parts: [usize; 3],
}

impl Product {
    /// None where the einsum is no matrix product, or too small a one.
    /// `batch`: so many alike sub-linops lie side by side along the first label of y, and what is decided is decided as for one of
    /// them.
    pub fn of(c: &Contract, sizes: &dyn Fn(u32) -> usize, batch: usize) -> Option<Product> {
        let (has_w, has_x) = (|l: &u32| c.w.contains(l), |l: &u32| c.x.contains(l));
        let row = |l: &u32| has_w(l) && !has_x(l);
        let first = c.y.iter().position(row)?;
        let count = c.y[first..].iter().take_while(|l| row(l)).count();
        let (before, rows, behind) = (&c.y[..first], &c.y[first..first + count], &c.y[first + count..]);
        // Labels of y all have x from here on; none of the columns may have the weight.
        let shared = |l: &u32| has_w(l);
        if behind.iter().any(|l| row(l) || shared(l)) || before.iter().any(row) {
            return None;
        }
        let turned = behind.is_empty();
        let columns = match turned {
            true => &before[before.iter().rposition(shared).map_or(0, |k| k + 1)..],
            false => behind,
        };
        let outer = &before[..if turned { before.len() - columns.len() } else { before.len() }];
        let terms: Vec<u32> = c.x.iter().copied().filter(|l| !c.y.contains(l)).collect();
        // What x alone, or the weight alone, is summed over is no product.
        let known = |l: &u32| c.y.contains(l) || terms.contains(l);
        if !terms.iter().all(has_w) || !c.w.iter().all(known) {
            return None;
        }
        let extent = |labels: &[u32]| -> usize { labels.iter().map(|l| sizes(*l)).product() };
        let sized = [extent(rows), extent(columns), extent(&terms)];
        // The batch stands in front, of the columns too where nothing else does.
        let first_is_column = outer.is_empty() && turned;
        let own_columns = if first_is_column { sized[1] / batch } else { sized[1] };
        if [sized[0], own_columns, sized[2]].iter().any(|n| *n < LEAST) {
            return None;
        }
        let place = |labels: &[u32], all: &[u32]| -> Option<Vec<usize>> {
            labels.iter().map(|l| all.iter().position(|k| k == l)).collect()
        };
        let mut order = place(outer, &c.x)?;
        order.extend(place(&terms, &c.x)?);
        order.extend(place(columns, &c.x)?);
        // The weight as it is read: its own labels among the outer ones, rows, terms.
        let own: Vec<u32> = outer.iter().copied().filter(shared).collect();
        let labels: Vec<u32> = own.iter().chain(rows).chain(&terms).copied().collect();
        let plain = Access::c_order(c.weight.extents());
        let weight = plain.permuted(&place(&labels, &c.w)?);
        let mut below = 1;
        let mut matrices: Vec<(usize, usize)> = Vec::with_capacity(outer.len());
        for l in outer.iter().rev() {
            let step = if shared(l) { below } else { 0 };
            below *= if shared(l) { sizes(*l) } else { 1 };
            matrices.insert(0, (sizes(*l), step));
        }
        Some(Product {
            one: if first_is_column { (1, own_columns) } else { (extent(outer) / batch, sized[1]) },
            outer: extent(outer),
            rows: sized[0],
            columns: sized[1],
            terms: sized[2],
            turned,
            matrices,
            weight,
            weight_extents: labels.iter().map(|l| sizes(*l)).collect(),
            matrix_axes: own.len(),
            row_axes: rows.len(),
            parts: [outer.len(), terms.len(), columns.len()],
            order,
        })
    }

    /// The matrix of the weight that an outer index is multiplied by.
    pub fn matrix(&self, outer: usize) -> usize {
        let mut rest = outer;
        self.matrices.iter().rev().fold(0, |at, (extent, step)| {
            let index = rest % extent;
            rest /= extent;
            at + index * step
        })
    }

    /// The read of x as (outer, terms, columns), or (outer, columns, terms) where that runs along what is stored.
    pub fn read(&self, x: &Load) -> (Load, bool) {
        let load = x.permuted(&self.order);
        let [outer, terms, columns] = self.parts;
        let smallest = |axes: Range<usize>| {
            let strides = axes.filter(|&a| load.extents[a] > 1).map(|a| match load.source.axes[a] {
                AxisIndex::Linear { stride } | AxisIndex::Divided { stride, .. } | AxisIndex::Wrapped { stride, .. } => {
                    stride.unsigned_abs()
                }
            });
            strides.filter(|s| *s > 0).min().unwrap_or(u64::MAX)
        };
        let (k, n) = (outer..outer + terms, outer + terms..outer + terms + columns);
        if smallest(n.clone()) <= smallest(k.clone()) {
            return (load, false);
        }
        let turned: Vec<usize> = (0..outer).chain(n).chain(k).collect();
        (load.permuted(&turned), true)
    }
}
