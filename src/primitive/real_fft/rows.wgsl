// y[o, k, i] = Σ c·x[o, n, i] over the p.terms terms of row k; a real result is the real part.
//
// Of the caller: load0(lin, 0), the fused read of x; store(lin, y); the array `table`, of which the words from p.begin on are
// bound: of each term n, with the highest bit where x is conjugated, and the parts of c. p.extent: extent of the axis that is
// read; p.results: of the one that is written; p.inner: elements beside each other. FROM_COMPLEX: what is read is complex.

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
        let k = row - o * p.results;
        var total = T();
        for (var r = 0u; r < p.terms; r += 1u) {
            let at = (k * p.terms + r) * 3u - p.begin;
            let n = table[at] & 0x7fffffffu;
            let c = vec2<f32>(bitcast<f32>(table[at + 1u]), bitcast<f32>(table[at + 2u]));
            let x = load0((o * p.extent + n) * p.inner + i, 0u);
#ifdef FROM_COMPLEX
            let im = select(x.y, -x.y, table[at] > 0x7fffffffu);
#ifdef COMPLEX
            total += vec2<f32>(c.x * x.x - c.y * im, c.x * im + c.y * x.x);
#else
            total += c.x * x.x - c.y * im;
#endif
#else
            total += c.x * x;
#endif
        }
        store(lin, total);
    }
}
