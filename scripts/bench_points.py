"""What scripts/bench-peers runs: see there."""

# First: it says how many threads libraries have.
from beside import RNG, ROUNDS, RUNS, THREADS, ours, record, timed, write

import json  # isort: skip
import os
import tempfile

import finufft
import numpy as np
import sigpy

COILS = 8
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


def compare(shape, count, tol):
    d = len(shape)
    locs = (RNG.random((count, d)) - 0.5) * np.array(shape)
    x = (RNG.standard_normal((COILS, *shape)) + 1j * RNG.standard_normal((COILS, *shape))).astype(np.complex64)
    y = (RNG.standard_normal((COILS, count)) + 1j * RNG.standard_normal((COILS, count))).astype(np.complex64)
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
    name = f"{' x '.join(map(str, shape))}, {count} points, tol {tol:g}"
    for label, key, kind in (("type 2", "forward", 2), ("type 1", "adjoint", 1)):
        record(f"{name}, {label}", "", "FINUFFT", [(row[key], row[kind]) for row in rows])
        record(f"{name}, {label}", "", "SigPy", [(row[key], theirs[kind]) for row, theirs in zip(rows, sigpy_rows)])


def toeplitz():
    spokes, samples, n = 96, 512, 256
    angle = np.arange(spokes) * np.pi / spokes
    radius = (np.arange(samples) - samples / 2) / samples * n
    locs = np.stack([np.outer(np.sin(angle), radius), np.outer(np.cos(angle), radius)], -1).reshape(-1, 2)
    with tempfile.TemporaryDirectory() as folder:
        paths = {choice: linop_file(folder, (n, n), locs, 1e-4, choice) for choice in (True, False)}
        rows = [{choice: ours(path)["normal"] for choice, path in paths.items()} for _ in range(ROUNDS)]
    pairs = [(row[True], row[False]) for row in rows]
    record(f"normal, {spokes} x {samples} radial at {n} x {n}, tol 1e-4", "", "linops, without Toeplitz", pairs)


print(f"{THREADS} threads, {COILS} coils, medians of {ROUNDS} rounds of {RUNS} runs")
for shape, count in CASES:
    for tol in (1e-3, 1e-6):
        compare(shape, count, tol)
toeplitz()
write()
