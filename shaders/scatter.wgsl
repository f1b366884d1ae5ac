// y[o, g, i] = Σ x[o, m, i] over the readers m of g, which stand in rising order in list[starts[g] .. starts[g + 1]].
// Every result is owned by one invocation, so nothing is added atomically. `results` counts the g of the whole axis, `terms`
// is the g whose start is bound first.

#import index

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let t = group_index(wid, nwg) * 256u + lid;
    if (t < p.count) {
        let lin = p.first + t;
        let row = lin / p.inner;
        let i = lin - row * p.inner;
        let o = row / p.results;
        let g = row - o * p.results;
        var total = T();
        let last = min(starts[g + 1u - p.terms], p.end);
        for (var j = max(starts[g - p.terms], p.begin); j < last; j += 1u) {
            total += value((o * p.extent + list[j - p.begin]) * p.inner + i);
        }
        store(lin, total);
    }
}
