// y[b, cell] = Σ w·x[b, m] over the footprints that touch a tile of 256 cells: from points to a grid.
//
// A workgroup has one part of a tile's list and BLOCK entries of the batch, each invocation owns one cell: nothing is added
// atomically, and the order of every sum is the list's.
//
// Of the caller: load0(lin, 0u) and `records` as in interpolate.wgsl, for p.points points from p.begin on; `parts`, p.parts of
// them: tile, first and end of its footprints, and 0 or 1 + the slot of its sum; `footprints`: point, and first cell within the
// tile, 10 bits an axis, plus BIAS; `dst`: a cell of entry b lies at p.base + b·p.out + cell; with SLOTS `work`, tiles of sums, of
// which p.slots belong to an entry of the batch.
//
// With STAGED, so many footprints at a time go into workgroup memory, with their samples and with weights that are made once for
// all cells. Rows of a tile lie in whole subgroups of 16 or 32 (a plane of a 3-D tile in one of 32), so that a footprint which
// misses a row is skipped by all of its invocations together. Without, each invocation walks the list by itself: where the
// weights of a few footprints are more than workgroup memory.

#import index
#import tile
#ifdef STAGED
#ifdef POLYNOMIALS
#import polynomials
#endif

var<workgroup> staged_first: array<u32, STAGED_COUNT>;
var<workgroup> staged_weights: array<f32, STAGED_WEIGHTS>;
var<workgroup> staged_samples: array<T, STAGED_SAMPLES>;

// Weight `tap` of a staged footprint, or of a record.
fn weight(k: u32, tap: u32) -> f32 {
    return staged_weights[k * WEIGHTS + tap];
}
#else
fn weight(r: u32, tap: u32) -> f32 {
    return bitcast<f32>(records[r + VALUES + tap]);
}
#endif

// The weight of a footprint at its cell i.
fn product(k: u32, i: vec3<u32>) -> f32 {
#ifdef RADIAL
    return weight(k, (i.x * TAPS_1 + i.y) * TAPS_2 + i.z);
#else
    var w = weight(k, OFFSET_2 + i.z);
#ifdef AXIS_1
    w *= weight(k, OFFSET_1 + i.y);
#endif
#ifdef AXIS_0
    w *= weight(k, OFFSET_0 + i.x);
#endif
    return w;
#endif
}

// Where in a footprint a cell lies. Before its first cell the difference wraps around to a large number.
fn within(at: vec3<u32>, packed: u32) -> vec3<u32> {
    var first = vec3<u32>();
#ifdef AXIS_0
    first = vec3<u32>(packed & 1023u, (packed >> 10u) & 1023u, (packed >> 20u) & 1023u);
    return at + vec3<u32>(BIAS, BIAS, BIAS) - first;
#else
#ifdef AXIS_1
    first = vec3<u32>(0u, packed & 1023u, (packed >> 10u) & 1023u);
    return at + vec3<u32>(0u, BIAS, BIAS) - first;
#else
    first = vec3<u32>(0u, 0u, packed & 1023u);
    return at + vec3<u32>(0u, 0u, BIAS) - first;
#endif
#endif
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let g = group_index(wid, nwg);
    let block = g / p.parts;
    let part = g - block * p.parts;
    let b = block * u32(BLOCK);
    if (b >= p.entries) {
        return;
    }
    let tile = parts[4u * part];
    let first = parts[4u * part + 1u];
    let last = parts[4u * part + 2u];
    let at = place(lid);
#for c in BLOCK
    var sum{c} = T();
#endfor
#ifdef STAGED
    for (var e = first; e < last; e += STAGED) {
        let n = min(last - e, STAGED);
        // Which footprints: what is not of these points touches no cell.
        if (lid < n) {
            let s = footprints[2u * (e + lid)] - p.begin;
            staged_first[lid] = select(0xffffffffu, footprints[2u * (e + lid) + 1u], s < p.points);
        }
        // Their samples.
        for (var k = lid; k < STAGED * u32(BLOCK); k += 256u) {
            let q = k % STAGED;
            let c = k / STAGED;
            let s = footprints[2u * (e + min(q, n - 1u))] - p.begin;
            if (q < n && s < p.points) {
                let row = p.low + min(b + c, p.entries - 1u) * p.row;
                staged_samples[q * u32(BLOCK) + c] = load0(row + records[s * p.stride], 0u);
            }
        }
        // Their weights.
#ifdef POLYNOMIALS
        for (var k = lid; k < STAGED * AXES; k += 256u) {
            let q = k % STAGED;
            let axis = k / STAGED;
            let s = footprints[2u * (e + min(q, n - 1u))] - p.begin;
            if (q < n && s < p.points) {
                let f = bitcast<f32>(records[s * p.stride + VALUES + axis]);
                let taps = taps_of(axis);
                let o = q * WEIGHTS + weights_begin(axis);
                for (var j = 0u; 2u * j < taps; j += 1u) {
                    let pair = tap_pair(axis, j, f);
                    staged_weights[o + j] = pair.x + pair.y;
                    staged_weights[o + taps - 1u - j] = pair.x - pair.y;
                }
            }
        }
#else
        for (var k = lid; k < n * WEIGHTS; k += 256u) {
            let q = k / WEIGHTS;
            let s = footprints[2u * (e + q)] - p.begin;
            if (s < p.points) {
                staged_weights[k] = bitcast<f32>(records[s * p.stride + VALUES + k - q * WEIGHTS]);
            }
        }
#endif
        workgroupBarrier();
        for (var k = 0u; k < n; k += 1u) {
            let i = within(at, staged_first[k]);
            if (i.x < TAPS_0) {
                if (i.y < TAPS_1) {
                    if (i.z < TAPS_2) {
                        let w = product(k, i);
#for c in BLOCK
                        sum{c} += w * staged_samples[k * u32(BLOCK) + {c}u];
#endfor
                    }
                }
            }
        }
        // Nothing of the next batch may come before the last of this one is read.
        workgroupBarrier();
    }
#else
#for c in BLOCK
    let row{c} = p.low + min(b + {c}u, p.entries - 1u) * p.row;
#endfor
    for (var e = first; e < last; e += 1u) {
        let s = footprints[2u * e] - p.begin;
        let i = within(at, footprints[2u * e + 1u]);
        if (s < p.points && i.x < TAPS_0 && i.y < TAPS_1 && i.z < TAPS_2) {
            let r = s * p.stride;
            let m = records[r];
            let w = product(r, i);
#for c in BLOCK
            sum{c} += w * load0(row{c} + m, 0u);
#endfor
        }
    }
#endif
#ifdef SLOTS
    let slot = parts[4u * part + 3u];
    if (slot > 0u) {
#for c in BLOCK
        if (b + {c}u < p.entries) {
            let to{c} = ((b + {c}u) * p.slots + slot - 1u) * 256u + lid;
#ifdef ADD
            work[to{c}] += sum{c};
#else
            work[to{c}] = sum{c};
#endif
        }
#endfor
        return;
    }
#endif
    let cell = cell_of(tile, at);
    if (cell != 0xffffffffu) {
#for c in BLOCK
        if (b + {c}u < p.entries) {
            let to{c} = p.base + (b + {c}u) * p.out + cell;
#ifdef ADD
            dst[to{c}] += sum{c};
#else
            dst[to{c}] = sum{c};
#endif
        }
#endfor
    }
}
