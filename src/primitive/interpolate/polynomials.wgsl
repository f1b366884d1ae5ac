// Weights of taps from polynomials in s, the fraction of a point's place within a cell less a half.
//
// `polynomials` has for each axis four words: where its coefficients begin, how many pairs of them a tap has, its taps, and where
// its weights begin among a point's. Then the coefficients, for taps 0 … of the first half: of s⁰ and s¹, of s² and s³ …
// Taps j and taps − 1 − j have the same even part, and odd parts of opposite sign.

fn taps_of(axis: u32) -> u32 {
    return polynomials[4u * axis + 2u];
}

fn weights_begin(axis: u32) -> u32 {
    return polynomials[4u * axis + 3u];
}

// The even and the odd part of tap j.
fn tap_pair(axis: u32, j: u32, s: f32) -> vec2<f32> {
    let pairs = polynomials[4u * axis + 1u];
    let first = polynomials[4u * axis] + 2u * pairs * j;
    let q = s * s;
    var even = 0.0;
    var odd = 0.0;
    for (var k = pairs; k > 0u; k -= 1u) {
        let at = first + 2u * (k - 1u);
        even = even * q + bitcast<f32>(polynomials[at]);
        odd = odd * q + bitcast<f32>(polynomials[at + 1u]);
    }
    return vec2<f32>(even, s * odd);
}
