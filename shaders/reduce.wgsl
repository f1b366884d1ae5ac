// One sum for each invocation, in blocks of 64 terms: the tree depends on the number of terms alone.

#import index

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let t = group_index(wid, nwg) * 256u + lid;
    if (t < p.count) {
        let lin = p.first + t;
        var total = T();
        var k = 0u;
        while (k < p.terms) {
            let end = min(k + 64u, p.terms);
            var part = T();
            while (k < end) {
                part += term(lin, k);
                k += 1u;
            }
            total += part;
        }
        store(lin, total);
    }
}
