"""What scripts/bench-peers runs for the catalogue beyond Fourier transforms: see there.

Convolutions beside PyTorch and SciPy, wavelets beside PyWavelets, projections beside scikit-image, differences beside PyLops, patches
beside SigPy. What is not installed is left out and said. Times are those of the host, medians over alternating rounds.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings

BINARY, ROUNDS = sys.argv[1], int(sys.argv[2])
THREADS = int(os.environ.get("RAYON_NUM_THREADS", len(os.sched_getaffinity(0))))
for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = str(THREADS)

import numpy as np  # noqa: E402

warnings.filterwarnings("ignore")
RUNS = 5
RNG = np.random.default_rng(0)


def module(name):
    try:
        return __import__(name, fromlist=["_"])
    except ImportError:
        print(f"{name} is not installed: its rows are left out", flush=True)
        return None


def timed(f):
    f()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def ours(path):
    done = subprocess.run(
        [BINARY, "bench", path, "--device", "host", "--runs", str(RUNS), "--json"], check=True, capture_output=True
    )
    return {row["direction"]: row["seconds"] for row in json.loads(done.stdout)["rows"]}


def compare(name, linop, arrays, peers):
    """peers: (direction, whose, function)"""
    with tempfile.TemporaryDirectory() as folder:
        for file, array in arrays.items():
            np.save(os.path.join(folder, file), array)
        path = os.path.join(folder, "linop.json")
        with open(path, "w") as f:
            json.dump(linop, f)
        rows = []
        for _ in range(ROUNDS):
            row = ours(path)
            for k, (_, _, f) in enumerate(peers):
                row[k] = timed(f)
            rows.append(row)
    for k, (direction, whose, _) in enumerate(peers):
        mine, theirs = (float(np.median([row[key] for row in rows])) for key in (direction, k))
        ratio = float(np.median([row[k] / row[direction] for row in rows]))
        print(
            f"{name:44} {direction:8} {1e3 * mine:9.2f} ms   {whose:24} {1e3 * theirs:9.2f} ms   theirs / ours {ratio:6.2f}",
            flush=True,
        )


def convolutions():
    torch, scipy = module("torch"), module("scipy.signal")
    for size, taps, channels in ((512, 5, 1), (512, 31, 1), (128, 3, 16)):
        x = (RNG.standard_normal((channels, size, size))).astype(np.float32)
        k = RNG.standard_normal((channels, channels, taps, taps)).astype(np.float32)
        linop = {"op": "convolve", "in": f"I={channels} Y={size} X={size}", "kernel": "k.npy", "dims": "O I Y X", "axes": ["Y", "X"]}
        peers = []
        if torch:
            torch.set_num_threads(THREADS)
            a, b = torch.from_numpy(x[None]), torch.from_numpy(k)
            peers.append(("forward", "torch conv2d", lambda: torch.nn.functional.conv2d(a, b, padding=taps // 2)))
        if scipy and channels == 1:
            peers.append(("forward", "scipy fftconvolve", lambda: scipy.fftconvolve(x[0], k[0, 0], "same")))
        compare(f"convolution {channels} x {size}^2, {taps}^2 taps, real*", linop, {"k.npy": k}, peers)


def wavelets():
    pywt = module("pywt")
    if not pywt:
        return
    for name, size, levels in (("db4", 1024, 3), ("haar", 1024, 5)):
        x = RNG.standard_normal((size, size)) + 1j * RNG.standard_normal((size, size))
        x = x.astype(np.complex64)
        linop = {"op": "wavelet", "in": f"Y={size} X={size}", "wavelet": name, "axes": ["Y", "X"], "levels": levels, "boundary": "periodization"}
        made = pywt.wavedec2(x, name, "periodization", levels)
        peers = [
            ("forward", "PyWavelets", lambda: pywt.wavedec2(x, name, "periodization", levels)),
            ("adjoint", "PyWavelets", lambda: pywt.waverec2(made, name, "periodization")),
        ]
        compare(f"wavelet {name}, {size}^2, {levels} levels, complex", linop, {}, peers)


def projections():
    transform = module("skimage.transform")
    if not transform:
        return
    size, views = 255, 180
    degrees = np.arange(views) * 180.0 / views
    x = RNG.random((size, size)).astype(np.float32)
    linop = {"op": "projection", "in": f"Y={size} X={size}", "axes": ["Y", "X"], "geometry": "parallel", "angles": "a.npy", "angle_unit": "degree", "detectors": size, "out": "A D"}
    sino = transform.radon(x, degrees, circle=False)
    peers = [
        ("forward", "skimage radon", lambda: transform.radon(x, degrees, circle=False)),
        ("adjoint", "skimage iradon, no filter", lambda: transform.iradon(sino, degrees, filter_name=None, circle=False)),
    ]
    compare(f"projection {size}^2, {views} views, complex**", linop, {"a.npy": degrees}, peers)


def neighbours():
    pylops, sigpy = module("pylops"), module("sigpy")
    size = 1024
    x = (RNG.standard_normal((size, size)) + 1j * RNG.standard_normal((size, size))).astype(np.complex64)
    linop = {"op": "finite_difference", "in": f"Y={size} X={size}", "axes": ["Y", "X"], "boundary": "circular"}
    peers = []
    if pylops:
        g = pylops.Gradient((size, size), kind="backward", dtype="complex64")
        d = g @ x.ravel()
        peers += [
            ("forward", "PyLops Gradient", lambda: g @ x.ravel()),
            ("adjoint", "PyLops Gradient", lambda: g.H @ d),
            ("normal", "PyLops Gradient, both", lambda: g.H @ (g @ x.ravel())),
        ]
    if sigpy:
        f = sigpy.linop.FiniteDifference((size, size))
        y = f(x)
        peers += [("forward", "SigPy FiniteDifference", lambda: f(x)), ("adjoint", "SigPy FiniteDifference", lambda: f.H(y))]
    compare(f"differences {size}^2, complex", linop, {}, peers)
    if sigpy:
        linop = {"op": "blocks", "in": "Y=512 X=512", "axes": ["Y", "X"], "size": {"Y": 8, "X": 8}, "stride": {"Y": 4, "X": 4}, "out": "P Q I J"}
        b = sigpy.linop.ArrayToBlocks((512, 512), (8, 8), (4, 4))
        x = x[:512, :512].copy()
        y = b(x)
        peers = [("forward", "SigPy ArrayToBlocks", lambda: b(x)), ("adjoint", "SigPy ArrayToBlocks", lambda: b.H(y))]
        compare("patches 512^2, 8^2 by 4, complex", linop, {}, peers)


print(f"{THREADS} threads, medians of {ROUNDS} rounds of {RUNS} runs")
print("*  theirs on real values, ours on complex ones, which are twice as many; ** likewise")
convolutions()
wavelets()
projections()
neighbours()
