// One sum, or one part of a sum, for each invocation, or UNIT of them that lie beside each other, in blocks of BLOCK terms: the tree
// depends on the number of terms alone.
//
// Of the caller: terms(sum, k), the fused read of TERMS terms; added(total, v), which adds them in order; store(lin, y). Results are
// (part, sum): p.sums sums of p.terms terms each, in parts of p.size consecutive terms.

#import index

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let t = group_index(wid, nwg) * 256u + lid;
    if (t < p.count) {
        let lin = p.first + t * UNIT;
        let part = lin / p.sums;
        let sum = lin - part * p.sums;
        var total = U();
        var k = part * p.size;
        let last = min(k + p.size, p.terms);
        while (k < last) {
            let end = min(k + BLOCK, last);
            var block = U();
            // Several reads are under way at once.
            while (k + AHEAD * TERMS <= end) {
#for q in AHEAD_COUNT
                let v{q} = terms(sum, k + {q}u * TERMS);
#endfor
#for q in AHEAD_COUNT
                block = added(block, v{q});
#endfor
                k += AHEAD * TERMS;
            }
            while (k < end) {
                block = added(block, terms(sum, k));
                k += TERMS;
            }
            total += block;
        }
        store(lin, total);
    }
}
