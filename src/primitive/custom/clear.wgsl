// Sets a result to 0 before a kernel of a user's own runs: what that leaves out would be what the memory held before.

@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < arrayLength(&y); i += 64u * groups.x) {
        y[i] = 0.0;
    }
}
