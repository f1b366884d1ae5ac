// x[b, i] = Σ y[b, d, i] − y[b, d, the entry behind i along axis d] over d.
//
// Of the caller: as in forward.wgsl, with value(lin) the fused read of y.

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
        let b = lin / p.plane;
        let i = lin - b * p.plane;
        var total = T();
#for k in AXES
        {
            let n = place(i, p.stride{k}, p.extent{k});
            let at = (b * u32(AXES) + {k}u) * p.plane + i;
#ifdef CIRCULAR
            total += value(at);
#else
#ifdef ZERO
            total += value(at);
#else
            if (n > 0u) {
                total += value(at);
            }
#endif
#endif
            if (n + 1u < p.extent{k}) {
                total -= value(at + p.step{k});
            }
#ifdef CIRCULAR
            else {
                total -= value(at - n * p.step{k});
            }
#endif
        }
#endfor
        store(lin, signed(total));
    }
}
