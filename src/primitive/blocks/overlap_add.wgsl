// x[b, n1, n2, n3] = Σ y[b, q1, q2, q3, j1, j2, j3] over the blocks q that hold n, n = stride·q + j, in rising order.
//
// Of the caller: as in blocks.wgsl, with value(lin) the fused read of y.

#import index

// First and end of the blocks that hold entry n.
fn holding(n: u32, size: u32, stride: u32, blocks: u32) -> vec2<u32> {
    var first = 0u;
    if (n + 1u > size) {
        first = (n + stride - size) / stride;
    }
    return vec2<u32>(first, min(n / stride + 1u, blocks));
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let t = group_index(wid, nwg) * 256u + lid;
    if (t < p.count) {
        let lin = p.first + t;
        var rest = lin;
        let n3 = rest % p.n3;
        rest = rest / p.n3;
        let n2 = rest % p.n2;
        rest = rest / p.n2;
        let n1 = rest % p.n1;
        let b = rest / p.n1;
        let blocks1 = holding(n1, p.size1, p.stride1, p.q1);
        let blocks2 = holding(n2, p.size2, p.stride2, p.q2);
        let blocks3 = holding(n3, p.size3, p.stride3, p.q3);
        var total = T();
        for (var q1 = blocks1.x; q1 < blocks1.y; q1 += 1u) {
            for (var q2 = blocks2.x; q2 < blocks2.y; q2 += 1u) {
                for (var q3 = blocks3.x; q3 < blocks3.y; q3 += 1u) {
                    let block = ((b * p.q1 + q1) * p.q2 + q2) * p.q3 + q3;
                    let j1 = n1 - p.stride1 * q1;
                    let j2 = n2 - p.stride2 * q2;
                    let j3 = n3 - p.stride3 * q3;
                    total += value(((block * p.size1 + j1) * p.size2 + j2) * p.size3 + j3);
                }
            }
        }
        store(lin, total);
    }
}
