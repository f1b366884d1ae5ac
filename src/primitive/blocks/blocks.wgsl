// y[b, q1, q2, q3, j1, j2, j3] = x[b, n1, n2, n3], n = stride·q + j along each axis.
//
// Of the caller: value(lin), the fused read of x; store(lin, y). p.n1 …: extents of x; p.q1 …: blocks; p.size1 …: their extents.

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
        var rest = lin;
        let j3 = rest % p.size3;
        rest = rest / p.size3;
        let j2 = rest % p.size2;
        rest = rest / p.size2;
        let j1 = rest % p.size1;
        rest = rest / p.size1;
        let n3 = p.stride3 * (rest % p.q3) + j3;
        rest = rest / p.q3;
        let n2 = p.stride2 * (rest % p.q2) + j2;
        rest = rest / p.q2;
        let n1 = p.stride1 * (rest % p.q1) + j1;
        let b = rest / p.q1;
        store(lin, value(((b * p.n1 + n1) * p.n2 + n2) * p.n3 + n3));
    }
}
