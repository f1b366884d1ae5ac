// One result for each invocation: the fused reads, added and stored.
//
// Of the caller: value(lin), the sum of the reads; store(lin, y).

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
        store(lin, value(lin));
    }
}
