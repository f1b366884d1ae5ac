// A copy: nothing but reads and writes. `Value` and `EACH`, the values that an invocation copies, stand in front.

@group(0) @binding(0) var<storage, read> x: array<Value>;
@group(0) @binding(1) var<storage, read_write> y: array<Value>;

const GROUP = 256u;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let count = arrayLength(&y);
    let first = (group.y * groups.x + group.x) * GROUP * EACH + lane;
    for (var k = 0u; k < EACH; k++) {
        let at = first + k * GROUP;
        if at < count {
            y[at] = x[at];
        }
    }
}
