// y[b, d, i] = x[b, i] − the entry before it along axis d.
//
// Of the caller: value(lin), the fused read of x; store(lin, y). p.plane: elements of x of one batch entry; p.stride0,
// p.step0, p.extent0 and so on: the axes.

#import index
#import neighbours

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let t = group_index(wid, nwg) * 256u + lid;
    if (t < p.count) {
        let lin = p.first + t;
        let row = lin / p.plane;
        let i = lin - row * p.plane;
        let b = row / u32(AXES);
        let d = row - b * u32(AXES);
        var stride = p.stride0;
        var step = p.step0;
        var extent = p.extent0;
#for k in AXES
        if (d == {k}u) {
            stride = p.stride{k};
            step = p.step{k};
            extent = p.extent{k};
        }
#endfor
        store(lin, signed(difference(b * p.plane + i, place(i, stride, extent), step, extent)));
    }
}
