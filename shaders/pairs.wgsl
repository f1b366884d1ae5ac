// Two complex numbers beside each other: each of one times that in its place of the other.

fn cmul_pair(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(cmul(a.xy, b.xy), cmul(a.zw, b.zw));
}

// Times the conjugates.
fn cmul_conj_pair(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(cmul_conj(a.xy, b.xy), cmul_conj(a.zw, b.zw));
}
