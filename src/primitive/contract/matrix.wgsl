// Matrix products y[o] = w[b]·x[o], by tiles: a workgroup makes HEIGHT rows by WIDTH columns, an invocation EACH by EACH of them,
// in registers. Of DEPTH terms at a time the workgroup holds what it needs of w and of x. Terms are added in their order, in
// blocks of BLOCK, as the kernel of sums does.
//
// Of the caller: fetch(lin, 0), x as (outer, terms, columns), or (outer, columns, terms) if X_TURNED; weight(lin, 0), w as (matrix,
// rows, terms); matrix(o), b; store(lin, v), y as (outer, rows, columns), or (outer, columns, rows) if Y_TURNED. W is the type of w.

#import index

var<workgroup> some_w: array<W, W_MEMORY>;
var<workgroup> some_x: array<T, X_MEMORY>;

fn product(w: W, x: T) -> T {
#ifdef W_COMPLEX
#ifdef CONJ
    return vec2<f32>(w.x * x.x + w.y * x.y, w.x * x.y - w.y * x.x);
#else
    return vec2<f32>(w.x * x.x - w.y * x.y, w.x * x.y + w.y * x.x);
#endif
#else
    return w * x;
#endif
}

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let in_dispatch = group_index(wid, nwg);
    if (in_dispatch >= p.count) {
        return;
    }
    let group = p.first + in_dispatch;
    let down = group / p.across;
    let column0 = (group - down * p.across) * WIDTH;
    let o = down / p.down;
    let row0 = (down - o * p.down) * HEIGHT;
    let own_matrix = matrix(o) * p.rows;
    // Lanes run along what is stored side by side.
#ifdef Y_TURNED
    let r = lid % (HEIGHT / EACH);
    let c = lid / (HEIGHT / EACH);
#else
    let c = lid % (WIDTH / EACH);
    let r = lid / (WIDTH / EACH);
#endif
#for i in EACH_COUNT
#for j in EACH_COUNT
    var total{i}_{j} = T();
    var block{i}_{j} = T();
#endfor
#endfor
    for (var k0 = 0u; k0 < p.terms; k0 += DEPTH) {
        workgroupBarrier();
        for (var i = lid; i < HEIGHT * DEPTH; i += INVOCATIONS) {
#ifdef W_TURNED
            let row = i % HEIGHT;
            let k = i / HEIGHT;
#else
            let k = i % DEPTH;
            let row = i / DEPTH;
#endif
            var v = W();
            if (row0 + row < p.rows && k0 + k < p.terms) {
                v = weight((own_matrix + row0 + row) * p.terms + k0 + k, 0u);
            }
            some_w[k * (HEIGHT + 1u) + row] = v;
        }
        for (var i = lid; i < WIDTH * DEPTH; i += INVOCATIONS) {
#ifdef X_TURNED
            let k = i % DEPTH;
            let column = i / DEPTH;
#else
            let column = i % WIDTH;
            let k = i / WIDTH;
#endif
            var v = T();
            if (column0 + column < p.columns && k0 + k < p.terms) {
#ifdef X_TURNED
                v = fetch((o * p.columns + column0 + column) * p.terms + k0 + k, 0u);
#else
                v = fetch((o * p.terms + k0 + k) * p.columns + column0 + column, 0u);
#endif
            }
            some_x[k * (WIDTH + 1u) + column] = v;
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k += 1u) {
#for i in EACH_COUNT
            let w{i} = some_w[k * (HEIGHT + 1u) + r + {i}u * (HEIGHT / EACH)];
            let x{i} = some_x[k * (WIDTH + 1u) + c + {i}u * (WIDTH / EACH)];
#endfor
#for i in EACH_COUNT
#for j in EACH_COUNT
            block{i}_{j} += product(w{i}, x{j});
#endfor
#endfor
        }
        if ((k0 + DEPTH) % BLOCK == 0u) {
#for i in EACH_COUNT
#for j in EACH_COUNT
            total{i}_{j} += block{i}_{j};
            block{i}_{j} = T();
#endfor
#endfor
        }
    }
#for i in EACH_COUNT
#for j in EACH_COUNT
    {
        let row = row0 + r + {i}u * (HEIGHT / EACH);
        let column = column0 + c + {j}u * (WIDTH / EACH);
        if (row < p.rows && column < p.columns) {
#ifdef Y_TURNED
            store((o * p.columns + column) * p.rows + row, total{i}_{j} + block{i}_{j});
#else
            store((o * p.rows + row) * p.columns + column, total{i}_{j} + block{i}_{j});
#endif
        }
    }
#endfor
#endfor
}
