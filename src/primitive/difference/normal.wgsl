// The adjoint of the differences of x: Σ over the axes of the difference at entry i minus that at the entry behind it.
//
// Of the caller: as in forward.wgsl.

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
        let i = lin % p.plane;
        var total = T();
#for k in AXES
        {
            let n = place(i, p.stride{k}, p.extent{k});
            total += difference(lin, n, p.step{k}, p.extent{k});
            if (n + 1u < p.extent{k}) {
                total -= difference(lin + p.step{k}, n + 1u, p.step{k}, p.extent{k});
            }
#ifdef CIRCULAR
            else {
                total -= difference(lin - n * p.step{k}, 0u, p.step{k}, p.extent{k});
            }
#endif
        }
#endfor
        store(lin, total);
    }
}
