// One sum, or one part of a sum, for each invocation, in blocks of BLOCK terms: the tree depends on the number of terms alone.
//
// Of the caller: term(sum, k), the fused read; store(lin, y). Results are (part, sum): p.sums sums of p.terms terms each, in
// parts of p.size consecutive terms.

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
        let part = lin / p.sums;
        let sum = lin - part * p.sums;
        var total = T();
        var k = part * p.size;
        let last = min(k + p.size, p.terms);
        while (k < last) {
            let end = min(k + BLOCK, last);
            var block = T();
            while (k < end) {
                block += term(sum, k);
                k += 1u;
            }
            total += block;
        }
        store(lin, total);
    }
}
