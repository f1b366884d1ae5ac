// A tile of 256 cells, one for each invocation.

// An invocation's place in its tile along each axis.
fn place(lid: u32) -> vec3<u32> {
    return vec3<u32>(lid / (TILE_1 * TILE_2), lid / TILE_2 % TILE_1, lid % TILE_2);
}

// The flat index of an invocation's cell in the grid, or a large number outside of it.
fn cell_of(tile: u32, at: vec3<u32>) -> u32 {
    var rest = tile;
    let c2 = rest % p.tiles_2 * TILE_2 + at.z;
    var inside = c2 < p.grid_2;
    var cell = c2;
#ifdef AXIS_1
    rest = rest / p.tiles_2;
    let c1 = rest % p.tiles_1 * TILE_1 + at.y;
    inside = inside && c1 < p.grid_1;
    cell += c1 * p.grid_2;
#endif
#ifdef AXIS_0
    rest = rest / p.tiles_1;
    let c0 = rest * TILE_0 + at.x;
    inside = inside && c0 < p.grid_0;
    cell += c0 * p.grid_1 * p.grid_2;
#endif
    return select(0xffffffffu, cell, inside);
}
