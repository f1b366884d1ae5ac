// One pass over vectors, as quads: four numbers.
//
// Of the caller: the vectors; formulas(), which makes scalars of scalars in `s`; element(i), which updates quad i and gives
// their part of each dot product.
//
// State is [scalars | number of partial sums | partial sums of dot 0 | of dot 1 …]. A pass reads one state and writes the other.
// Every workgroup totals the dots of the pass before by itself, all in the same order, so that no kernel has to stand between.

#import index

struct Params {
    length: u32,    // numbers that are bound of each vector
    chunk: u32,     // quads of each workgroup
    first: u32,     // partial sum of the first workgroup
    partials: u32,  // partial sums of this pass, over all its dispatches
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> before: array<f32>;
@group(0) @binding(2) var<storage, read_write> after: array<f32>;

var<workgroup> s: array<f32, SCALARS>;
var<workgroup> sums: array<f32, 256>;

// 0 where the divisor is not positive or the quotient not finite. Compared against finite bounds: fast-math compilers may drop
// tests for NaN and infinity.
fn quotient(a: f32, b: f32) -> f32 {
    var q = 0.0;
    if (b > 1e-37 && abs(a) < 3e38) {
        let c = a / b;
        if (abs(c) < 3e38) {
            q = c;
        }
    }
    return q;
}

// v, without what lies behind the vector's end.
fn within(i: u32, v: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(), v, vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.length));
}

fn tree(lid: u32) {
    for (var half = 128u; half > 0u; half = half / 2u) {
        workgroupBarrier();
        if (lid < half) {
            sums[lid] += sums[lid + half];
        }
    }
    workgroupBarrier();
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let g = group_index(wid, nwg);
    if (lid < SCALARS) {
        s[lid] = before[lid];
    }
    workgroupBarrier();
    let count = u32(before[SCALARS]);
#for d in TOTALS
    var total{d} = 0.0;
    for (var k = lid; k < count; k += 256u) {
        total{d} += before[SCALARS + 1 + {d} * PARTIALS + k];
    }
    sums[lid] = total{d};
    tree(lid);
    if (lid == 0u) {
        s[TOTAL_{d}] = sums[0];
    }
#endfor
    if (lid == 0u) {
        formulas();
    }
    workgroupBarrier();

    var dots = vec4<f32>();
    let quads = (p.length + 3u) / 4u;
    let end = min((g + 1u) * p.chunk, quads);
    for (var i = g * p.chunk + lid; i < end; i += 256u) {
        dots += element(i);
    }
#for d in DOTS
    workgroupBarrier();
    sums[lid] = dots[{d}];
    tree(lid);
    if (lid == 0u && g * p.chunk < quads) {
        after[SCALARS + 1 + {d} * PARTIALS + p.first + g] = sums[0];
    }
#endfor
    if (g == 0u && p.first == 0u) {
        if (lid < SCALARS) {
            after[lid] = s[lid];
        }
        if (lid == 0u) {
            after[SCALARS] = f32(p.partials);
        }
    }
}
