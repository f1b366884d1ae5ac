// EACH results for each invocation, or units of UNIT results that lie beside each other, 256 apart: the fused reads, added and stored.
// All are read before any is stored, so that reads are under way together.
//
// Of the caller: value(lin), the sum of the reads for the unit that begins at lin; store(lin, y).

#import index

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
#ifdef BESIDE
    // One behind the other instead.
    let first = (group_index(wid, nwg) * 256u + lid) * EACH;
#else
    let first = group_index(wid, nwg) * (256u * EACH) + lid;
#endif
#for q in EACH_COUNT
#ifdef BESIDE
    let t{q} = first + {q}u;
#else
    let t{q} = first + {q}u * 256u;
#endif
    var v{q} = U();
    if (t{q} < p.count) {
        v{q} = value(p.first + t{q} * UNIT);
    }
#endfor
#for q in EACH_COUNT
    if (t{q} < p.count) {
        store(p.first + t{q} * UNIT, v{q});
    }
#endfor
}
