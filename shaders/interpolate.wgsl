// y[b, m] = Σ w·x[b, cell] over a point's footprint. An invocation has one point and a block of the batch, for which it
// computes cells and weights once. A record is: place of the point's result, first cell along each axis, weights or fractions.
// `count` is the number of points, `results` that of batch entries, `extent` the words of a record.

#import index

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let t = group_index(wid, nwg) * 64u + lid;
    let block = t / p.count;
    let r = (t - block * p.count) * p.extent;
    let b = block * BLOCK;
    if (b < p.results) {
        point(r, b);
    }
}
