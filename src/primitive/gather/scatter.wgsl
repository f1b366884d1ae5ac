// y[o, g, i] = Σ x[o, m, i] over the readers m of g, which stand in rising order in list[starts[g] .. starts[g + 1]].
// Every result is owned by one invocation, so nothing is added atomically.
//
// Of the caller: value(lin), the fused read of x; store(lin, y); the arrays `list`, of which the entries p.begin .. p.end are
// bound, and `starts`, of which those from p.start on are. p.extent, p.results, p.inner as in gather.wgsl.

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
        let last = min(starts[g + 1u - p.start], p.end);
        for (var j = max(starts[g - p.start], p.begin); j < last; j += 1u) {
            total += value((o * p.extent + list[j - p.begin]) * p.inner + i);
        }
        store(lin, total);
    }
}
