// Positions in whole numbers, as rays.rs and pixels.rs have them, to the last bit.

// The position at step k, in 2^-16: `start` in 2^-16, `slope` in 2^-30.
fn position(start: i32, slope: i32, k: i32) -> i32 {
    return start + k * (slope >> 14u) + ((k * (slope & 0x3fff) + 8192) >> 14u);
}

// Slices that a row spans at step k, in 2^-28: `start` in 2^-28, `slope` in 2^-33.
fn span(start: i32, slope: i32, k: i32) -> i32 {
    return start + ((k * (slope >> 14u)) << 9u) + ((k * (slope & 0x3fff)) >> 5u);
}

// So many rows of so many slices each, in 2^-16.
fn rows_of(row: i32, slices: i32) -> i32 {
    return row * (slices >> 12u) + ((row * (slices & 0xfff) + 2048) >> 12u);
}

// What a position has behind the point.
fn rest(position: i32) -> f32 {
    return f32(position & 0xffff) * (1.0 / 65536.0);
}

// The weight of a pixel at such a distance: 0 from one pixel on.
fn nearness(distance: i32) -> f32 {
    return f32(max(65536 - abs(distance), 0)) * (1.0 / 65536.0);
}
