// One sum, or one part of a sum, for each workgroup, where there are few long ones: 64 strided partial sums, then a tree.
//
// Of the caller: as in reduce.wgsl.

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
    let first = part * p.size;
    let last = min(first + p.size, p.terms);
    var total = T();
    for (var k = first + lid; k < last; k += 64u) {
        total += term(sum, k);
    }
    partial[lid] = total;
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
