// Partial sums of Re⟨x, y⟩: 4096 elements for each workgroup, a fixed tree.

struct Params {
    length: u32,  // elements that are bound
    part: u32,    // partial sum of the first workgroup
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> y: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> parts: array<f32>;

var<workgroup> lanes: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let g = wid.y * nwg.x + wid.x;
    var sum = 0.0;
    for (var k = 0u; k < 16u; k += 1u) {
        let i = g * 4096u + k * 256u + lid;
        if (i < p.length) {
            sum += dot(x[i], y[i]);
        }
    }
    lanes[lid] = sum;
    for (var half = 128u; half > 0u; half = half / 2u) {
        workgroupBarrier();
        if (lid < half) {
            lanes[lid] += lanes[lid + half];
        }
    }
    // Groups beyond the data (a folded dispatch) have summed nothing and write nothing.
    if (lid == 0u && g * 4096u < p.length) {
        parts[p.part + g] = lanes[0];
    }
}
