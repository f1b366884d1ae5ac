// The parts of tiles with many footprints, added up in their order. `count` is the number of tiles,
// `results` the number of batch entries.

#import index

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let g = group_index(wid, nwg);
    let b = g / p.count;
    let tile = g - b * p.count;
    if (b < p.results) {
        tile_sum(tile, b, lid);
    }
}
