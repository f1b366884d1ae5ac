// One sum, or one part of a sum, for each workgroup, where there are few long ones: 64 strided sums, each of TERMS parts, then a tree.
//
// Of the caller: terms(sum, k, last), TERMS terms from k on, 0 from last on; folded(v), the sum of the parts; all else as in
// reduce.wgsl.

#import index

var<workgroup> partial: array<T, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let t = group_index(wid, nwg);
    // Groups beyond the count sum the last result again, so that all of them reach the barriers.
    let lin = p.first + min(t, p.count - 1u);
    let part = lin / p.sums;
    let sum = lin - part * p.sums;
    let last = min(part * p.size + p.size, p.terms);
    var total = vec4<f32>();
    var k = part * p.size + lid * TERMS;
    // Several reads are under way at once.
    while (k + (AHEAD - 1u) * 64u * TERMS < last) {
#for q in AHEAD_COUNT
        let v{q} = terms(sum, k + {q}u * 64u * TERMS, last);
#endfor
#for q in AHEAD_COUNT
        total += v{q};
#endfor
        k += AHEAD * 64u * TERMS;
    }
    while (k < last) {
        total += terms(sum, k, last);
        k += 64u * TERMS;
    }
    partial[lid] = folded(total);
    for (var half = 32u; half > 0u; half = half / 2u) {
        workgroupBarrier();
        if (lid < half) {
            partial[lid] += partial[lid + half];
        }
    }
    if (lid == 0u && t < p.count) {
        store(lin, partial[0]);
    }
}
