"""What scripts/bench-peers runs: see there."""

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings

BINARY, ROUNDS = sys.argv[1], int(sys.argv[2])
THREADS = int(os.environ.get("RAYON_NUM_THREADS", len(os.sched_getaffinity(0))))
for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = str(THREADS)

import finufft  # noqa: E402
import numpy as np  # noqa: E402
import sigpy  # noqa: E402

warnings.filterwarnings("ignore")
COILS, RUNS = 8, 5
DIMS = ["Nz", "Ny", "Nx"]
CASES = [((256, 256), 65_536), ((256, 256), 500_000), ((64, 64, 64), 262_144)]
# SigPy's kernel of this width on a grid of twice the size is about as exact.
SIGPY_WIDTH = {1e-3: 4, 1e-6: 7}


def linop_file(folder, shape, locs, tol, toeplitz=None):
    np.save(os.path.join(folder, "locs.npy"), locs)
    axes = DIMS[-len(shape):]
    extents = " ".join(f"{d}={n}" for d, n in zip(axes, shape))
    linop = {"op": "nufft", "in": f"C={COILS} {extents}", "locs": "locs.npy", "axes": axes, "tol": tol, "out": "C K"}
    if toeplitz is not None:
        linop["toeplitz"] = toeplitz
    path = os.path.join(folder, f"nufft_{toeplitz}.json")
    with open(path, "w") as f:
        json.dump(linop, f)
    return path


def ours(path):
    done = subprocess.run(
        [BINARY, "bench", path, "--device", "host", "--runs", str(RUNS), "--json"], check=True, capture_output=True
    )
    return {row["direction"]: row["seconds"] for row in json.loads(done.stdout)["rows"]}


def timed(f, runs=RUNS):
    f()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def median(rows, key):
    return float(np.median([row[key] for row in rows]))


def compare(shape, count, tol, rng):
    d = len(shape)
    locs = (rng.random((count, d)) - 0.5) * np.array(shape)
    x = (rng.standard_normal((COILS, *shape)) + 1j * rng.standard_normal((COILS, *shape))).astype(np.complex64)
    y = (rng.standard_normal((COILS, count)) + 1j * rng.standard_normal((COILS, count))).astype(np.complex64)
    angles = [np.ascontiguousarray((2 * np.pi * locs[:, a] / shape[a]).astype(np.float32)) for a in range(d)]
    plans = {}
    for kind, data in ((2, x), (1, y)):
        # Signs and order as ours: the forward is type 2 with exp(-i), the adjoint type 1 with exp(+i).
        sign = -1 if kind == 2 else 1
        plan = finufft.Plan(kind, shape, n_trans=COILS, eps=tol, isign=sign, dtype="complex64", nthreads=THREADS)
        plan.setpts(*angles)
        out = plan.execute(data)
        plans[kind] = (plan, data, out)
    rows, sigpy_rows = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = linop_file(folder, shape, locs, tol)
        for k in range(ROUNDS):
            row = ours(path)
            for kind, (plan, data, out) in plans.items():
                row[kind] = timed(lambda: plan.execute(data, out=out))
            rows.append(row)
            if k < 1:
                width = SIGPY_WIDTH[tol]
                sigpy_rows.append(
                    {
                        2: timed(lambda: sigpy.nufft(x, locs, oversamp=2, width=width), 1),
                        1: timed(lambda: sigpy.nufft_adjoint(y, locs, x.shape, oversamp=2, width=width), 1),
                    }
                )
    name = f"{'x'.join(map(str, shape))}, {count} points, tol {tol:g}"
    for label, key, kind in (("type 2", "forward", 2), ("type 1", "adjoint", 1)):
        t, f, s = median(rows, key), median(rows, kind), median(sigpy_rows, kind)
        ratio = float(np.median([row[key] / row[kind] for row in rows]))
        print(
            f"{name:36} {label}: {1e3 * t:8.1f} ms   FINUFFT {1e3 * f:8.1f} ms (ours / theirs {ratio:.2f})"
            f"   SigPy {1e3 * s:8.0f} ms (theirs / ours {s / t:.0f})",
            flush=True,
        )
    print(f"{'':36} type 1 / type 2: {np.median([row['adjoint'] / row['forward'] for row in rows]):.2f}", flush=True)


def toeplitz():
    spokes, samples, n = 96, 512, 256
    angle = np.arange(spokes) * np.pi / spokes
    radius = (np.arange(samples) - samples / 2) / samples * n
    locs = np.stack([np.outer(np.sin(angle), radius), np.outer(np.cos(angle), radius)], -1).reshape(-1, 2)
    with tempfile.TemporaryDirectory() as folder:
        paths = {choice: linop_file(folder, (n, n), locs, 1e-4, choice) for choice in (True, False)}
        rows = [{choice: ours(path)["normal"] for choice, path in paths.items()} for _ in range(ROUNDS)]
    ratio = float(np.median([row[False] / row[True] for row in rows]))
    print(
        f"normal, {spokes} x {samples} radial at {n}x{n}, tol 1e-4: Toeplitz {1e3 * median(rows, True):.1f} ms, "
        f"pair {1e3 * median(rows, False):.1f} ms (pair / Toeplitz {ratio:.2f})",
        flush=True,
    )


print(f"{THREADS} threads, {COILS} coils, medians of {ROUNDS} rounds of {RUNS} runs")
rng = np.random.default_rng(0)
for shape, count in CASES:
    for tol in (1e-3, 1e-6):
        compare(shape, count, tol, rng)
toeplitz()
