// Nothing but products and sums: eight chains of vectors, so that neither latency nor the number of registers is in the way.

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

const ROUNDS = 512u;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    // Of memory, so that no compiler knows them.
    let m = x[0];
    let c = x[1];
    let at = (group.y * groups.x + group.x) * 256u + lane;
    var a0 = c + f32(at);
    var a1 = a0 + c;
    var a2 = a1 + c;
    var a3 = a2 + c;
    var a4 = a3 + c;
    var a5 = a4 + c;
    var a6 = a5 + c;
    var a7 = a6 + c;
    for (var k = 0u; k < ROUNDS; k++) {
        a0 = fma(a0, m, c);
        a1 = fma(a1, m, c);
        a2 = fma(a2, m, c);
        a3 = fma(a3, m, c);
        a4 = fma(a4, m, c);
        a5 = fma(a5, m, c);
        a6 = fma(a6, m, c);
        a7 = fma(a7, m, c);
    }
    let all = ((a0 + a1) + (a2 + a3)) + ((a4 + a5) + (a6 + a7));
    // One result for each workgroup is written, so that memory has no part in it.
    if lane == 0u && at / 256u < arrayLength(&y) {
        y[at / 256u] = all;
    } else if all.x == -1234.5 {
        y[0] = all;
    }
}
