// The sum of all partial sums, by one workgroup, into a scalar.

struct Params {
    count: u32,
    scalar: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> scalars: array<f32>;

var<workgroup> lanes: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lid: u32) {
    var sum = 0.0;
    for (var k = lid; k < p.count; k += 256u) {
        sum += parts[k];
    }
    lanes[lid] = sum;
    for (var half = 128u; half > 0u; half = half / 2u) {
        workgroupBarrier();
        if (lid < half) {
            lanes[lid] += lanes[lid + half];
        }
    }
    if (lid == 0u) {
        scalars[p.scalar] = lanes[0];
    }
}
