// y[o, m, i] = x[o, list[m], i].
//
// Of the caller: value(lin), the fused read of x; store(lin, y); the array `list`, of which the entries from p.begin on are
// bound. p.extent: extent of the axis that is read; p.results: of the one that is written; p.inner: elements beside each other.

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
        let row = lin / p.inner;
        let i = lin - row * p.inner;
        let o = row / p.results;
        let m = row - o * p.results;
        store(lin, value((o * p.extent + list[m - p.begin]) * p.inner + i));
    }
}
