// y[b, m] = Σ w·x[b, cell] over the footprint of point m: from a grid to points.
//
// An invocation has one point and BLOCK entries of the batch, for which it finds cells and weights once. The grid's last axis is
// axis 2; a grid of fewer axes lacks the first ones.
//
// Of the caller: load0(lin, 0u), the fused read of x, of p.entries rows of p.row elements from p.low on; `records`, p.stride words
// for each of p.points points: the place of its result, its first cell along each axis, and its weights (tap by tap, axis after
// axis; with RADIAL one for each cell of the footprint) or, with POLYNOMIALS, its fractions; `dst`, of which p.len elements are
// bound: result m of entry b lies at p.base + b·p.out + m.

#import index

#ifdef POLYNOMIALS
#import polynomials

// The weights of an invocation's point, 64 apart.
var<workgroup> weights: array<f32, ALL_WEIGHTS>;

fn weight(r: u32, lid: u32, tap: u32) -> f32 {
    return weights[tap * 64u + lid];
}
#else
fn weight(r: u32, lid: u32, tap: u32) -> f32 {
    return bitcast<f32>(records[r + VALUES + tap]);
}
#endif

// Cell c of an axis of n on which a footprint may run over the end: below n the difference wraps around to a large number.
fn wrapped(c: u32, n: u32) -> u32 {
    return min(c, c - n);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let t = group_index(wid, nwg) * 64u + lid;
    let block = t / p.points;
    let r = (t - block * p.points) * p.stride;
    let b = block * u32(BLOCK);
    if (b >= p.entries) {
        return;
    }
#ifdef POLYNOMIALS
    for (var axis = 0u; axis < AXES; axis += 1u) {
        let s = bitcast<f32>(records[r + VALUES + axis]);
        let taps = taps_of(axis);
        let first = weights_begin(axis);
        for (var j = 0u; 2u * j < taps; j += 1u) {
            let pair = tap_pair(axis, j, s);
            weights[(first + j) * 64u + lid] = pair.x + pair.y;
            weights[(first + taps - 1u - j) * 64u + lid] = pair.x - pair.y;
        }
    }
#endif
#for c in BLOCK
    // Beyond the last entry the last is read again and not stored.
    let at{c} = p.low + min(b + {c}u, p.entries - 1u) * p.row;
    var sum{c} = T();
#endfor
#ifdef AXIS_0
    for (var i0 = 0u; i0 < TAPS_0; i0 += 1u) {
    let l0 = wrapped(records[r + CELL_0] + i0, p.grid_0);
#else
    let l0 = 0u;
    let i0 = 0u;
#endif
#ifdef AXIS_1
    for (var i1 = 0u; i1 < TAPS_1; i1 += 1u) {
    let l1 = l0 * p.grid_1 + wrapped(records[r + CELL_1] + i1, p.grid_1);
#else
    let l1 = l0;
    let i1 = 0u;
#endif
#for c in BLOCK
    var row{c} = T();
#endfor
    for (var i2 = 0u; i2 < TAPS_2; i2 += 1u) {
        let cell = l1 * p.grid_2 + wrapped(records[r + CELL_2] + i2, p.grid_2);
#ifdef RADIAL
        let w = weight(r, lid, (i0 * TAPS_1 + i1) * TAPS_2 + i2);
#else
        let w = weight(r, lid, OFFSET_2 + i2);
#endif
#for c in BLOCK
        row{c} += w * load0(at{c} + cell, 0u);
#endfor
    }
    var along = 1.0;
#ifdef RADIAL
#else
#ifdef AXIS_1
    along *= weight(r, lid, OFFSET_1 + i1);
#endif
#ifdef AXIS_0
    along *= weight(r, lid, OFFSET_0 + i0);
#endif
#endif
#for c in BLOCK
    sum{c} += along * row{c};
#endfor
#ifdef AXIS_1
    }
#endif
#ifdef AXIS_0
    }
#endif
    let m = records[r];
#for c in BLOCK
    let to{c} = p.base + (b + {c}u) * p.out + m;
    if (b + {c}u < p.entries && to{c} < p.len) {
#ifdef ADD
        dst[to{c}] += sum{c};
#else
        dst[to{c}] = sum{c};
#endif
    }
#endfor
}
