// One sum for each workgroup, for few long sums: 64 strided partial sums, then a tree.

#import index

var<workgroup> parts: array<T, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let t = group_index(wid, nwg);
    // Groups beyond the count sum the last result again, so that all of them reach the barriers.
    let lin = p.first + min(t, p.count - 1u);
    var part = T();
    var k = lid;
    while (k < p.terms) {
        part += term(lin, k);
        k += 64u;
    }
    parts[lid] = part;
    for (var half = 32u; half > 0u; half = half / 2u) {
        workgroupBarrier();
        if (lid < half) {
            parts[lid] += parts[lid + half];
        }
    }
    if (lid == 0u && t < p.count) {
        store(lin, parts[0]);
    }
}
