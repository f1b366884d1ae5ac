// y = x + s · y.

struct Params {
    length: u32,
    scalar: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> scalars: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec2<f32>>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let i = (wid.y * nwg.x + wid.x) * 256u + lid;
    if (i < p.length) {
        // A factor of 0 drops y, also where it has overflowed.
        let s = scalars[p.scalar];
        var z = x[i];
        if (s != 0.0) {
            z += s * y[i];
        }
        y[i] = z;
    }
}
