// Dispatches of more than 65535 workgroups are folded into rows; the last row may hold groups beyond the count.

fn group_index(wid: vec3<u32>, nwg: vec3<u32>) -> u32 {
    return wid.y * nwg.x + wid.x;
}
