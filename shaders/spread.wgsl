// y[b, cell] = Σ w·x[b, m] over the footprints that touch a tile of 256 cells. A workgroup has one part of a tile's list and a
// block of the batch, each invocation owns one cell: nothing is added atomically, and the order of every sum is the list's.
// `count` is the number of parts, `results` that of batch entries.

#import index

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let g = group_index(wid, nwg);
    let block = g / p.count;
    let part = g - block * p.count;
    let b = block * BLOCK;
    if (b < p.results) {
        tile_part(part, b, lid);
    }
}
