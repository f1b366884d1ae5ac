// The parts of tiles with many footprints, added up in their order.
//
// Of the caller: `heavy`, for each of p.tiles tiles its number, and first and end of its slots; `work`, tiles of sums, of which
// p.slots belong to an entry of the batch; `dst` as in spread.wgsl.

#import index
#import tile

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let g = group_index(wid, nwg);
    let b = g / p.tiles;
    let tile = g - b * p.tiles;
    if (b >= p.entries) {
        return;
    }
    var sum = T();
    for (var k = heavy[3u * tile + 1u]; k < heavy[3u * tile + 2u]; k += 1u) {
        sum += work[(b * p.slots + k) * 256u + lid];
    }
    let cell = cell_of(heavy[3u * tile], place(lid));
    if (cell != 0xffffffffu) {
        let to = p.base + b * p.out + cell;
#ifdef ADD
        dst[to] += sum;
#else
        dst[to] = sum;
#endif
    }
}
