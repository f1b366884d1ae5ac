"""What scripts/bench-peers runs for the catalogue beyond Fourier transforms: see there.

Convolutions beside PyTorch and SciPy, wavelets beside PyWavelets, projections beside scikit-image and ASTRA, differences beside
PyLops, patches beside SigPy, matrix products beside NumPy and PyTorch, real transforms and warps beside SciPy, sums between points beside FINUFFT. What is not installed is left out and said. Times are those of the host, medians over alternating rounds.
"""

import sys

# First: it says how many threads libraries have.
from beside import RNG, ROUNDS, RUNS, THREADS, compare, module, write

import numpy as np  # isort: skip


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
        compare(f"convolution {channels} x {size}^2, {taps}^2 taps, real", linop, {"k.npy": k}, peers, real=True)


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
    compare(f"projection {size}^2, {views} views, real", linop, {"a.npy": degrees}, peers, real=True)


def fans():
    """ASTRA's cones run on CUDA alone, so that ours have nothing beside them here."""
    astra = module("astra")
    if not astra:
        return
    size, views = 255, 180
    x = RNG.random((size, size)).astype(np.float32)
    for name, degrees, extra in (
        ("parallel", np.arange(views) * 180.0 / views, {}),
        ("fan", np.arange(views) * 360.0 / views, {"source_distance": 500.0, "detector_distance": 300.0}),
    ):
        linop = {"op": "projection", "in": f"Y={size} X={size}", "axes": ["Y", "X"], "geometry": name, "angles": "a.npy", "angle_unit": "degree", "detectors": size, "out": "A D"}
        linop.update(extra)
        radians = np.deg2rad(degrees)
        if extra:
            geometry = astra.create_proj_geom("fanflat", 1.0, size, radians, 500.0, 300.0)
        else:
            geometry = astra.create_proj_geom("parallel", 1.0, size, radians)
        projector = astra.create_projector("line_fanflat" if extra else "linear", geometry, astra.create_vol_geom(size, size))
        w = astra.OpTomo(projector)
        flat = x.ravel()
        sino = w.FP(x)
        peers = [("forward", "ASTRA on the CPU", lambda: w.FP(flat)), ("adjoint", "ASTRA on the CPU", lambda: w.BP(sino))]
        compare(f"projection, {name}, {size}^2, {views} views, real", linop, {"a.npy": degrees}, peers, real=True)
        del w
        astra.projector.delete(projector)


def transforms():
    fft, linalg = module("scipy.fft"), module("scipy.linalg")
    if not fft:
        return
    size = 1024
    real = RNG.standard_normal((size, size)).astype(np.float32)
    x = (real + 1j * RNG.standard_normal((size, size))).astype(np.complex64)
    linop = {"op": "dct", "in": f"Y={size} X={size}", "axes": ["Y", "X"], "out": "Ky Kx"}
    peers = [
        ("forward", "scipy.fft dctn", lambda: fft.dctn(x, norm="ortho", workers=THREADS)),
        ("adjoint", "scipy.fft idctn", lambda: fft.idctn(x, norm="ortho", workers=THREADS)),
    ]
    compare(f"dct {size}^2, complex", linop, {}, peers)
    linop = {"op": "rfft", "in": f"Y={size} X={size}", "axes": ["Y", "X"], "out": "Ky Kx"}
    peers = [("forward", "scipy.fft rfft2", lambda: fft.rfft2(real, norm="ortho", workers=THREADS))]
    compare(f"rfft {size}^2", linop, {}, peers, real=True)
    signal, window = x.ravel()[: 1 << 16].copy(), 64
    positions = signal.size - window + 1
    linop = {"op": "hankel", "in": f"N={signal.size}", "size": {"N": window}, "out": "P W"}
    peers = [("forward", "scipy.linalg hankel", lambda: linalg.hankel(signal[:positions], signal[positions - 1 :]))]
    compare(f"hankel {signal.size}, windows of {window}, complex", linop, {}, peers)


def points():
    ndimage, finufft = module("scipy.ndimage"), module("finufft")
    if ndimage:
        size = 512
        x = (RNG.standard_normal((size, size)) + 1j * RNG.standard_normal((size, size))).astype(np.complex64)
        moved = 3.0 * RNG.standard_normal((2, size, size))
        at = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij")) + moved
        linop = {"op": "warp", "in": f"Y={size} X={size}", "axes": ["Y", "X"], "displacement": "u.npy"}
        peers = [("forward", "scipy map_coordinates", lambda: ndimage.map_coordinates(x, at, order=1))]
        compare(f"warp {size}^2, linear, complex", linop, {"u.npy": moved}, peers)
    if finufft:
        count, reach, tol = 50000, 100.0, 1e-4
        p, s = RNG.uniform(-np.pi, np.pi, (count, 2)), RNG.uniform(-reach, reach, (count, 2))
        c = (RNG.standard_normal(count) + 1j * RNG.standard_normal(count)).astype(np.complex64)
        plan = finufft.Plan(3, 2, isign=-1, eps=tol, dtype="complex64", nthreads=THREADS)
        column = lambda a, k: np.ascontiguousarray(a[:, k].astype(np.float32))  # noqa: E731
        plan.setpts(column(p, 0), column(p, 1), None, column(s, 0), column(s, 1), None)
        linop = {"op": "nufft_type3", "in": f"N={count}", "sources": "p.npy", "targets": "s.npy", "tol": tol, "out": "M"}
        # Ours has 2 pi in its exponent.
        arrays = {"p.npy": p / (2 * np.pi), "s.npy": s}
        compare(f"type 3, {count} to {count} points, tol {tol}", linop, arrays, [("forward", "FINUFFT, planned", lambda: plan.execute(c))])


def fields():
    """Beside the sum that is approximated, as a matrix: no other library has it on the host."""
    size = 64
    field = 50.0 * RNG.standard_normal(size * size)
    times = np.linspace(0.0, 0.02, size * size)
    x = (RNG.standard_normal(size * size) + 1j * RNG.standard_normal(size * size)).astype(np.complex64)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size).astype(np.complex64) / np.float32(np.sqrt(size))
    matrix = np.kron(waves, waves) * np.exp(-2j * np.pi * np.outer(times, field)).astype(np.complex64)
    linop = {
        "op": "off_resonance", "field": "f.npy", "field_dims": "Y X", "times": "t.npy", "time_dims": "Ky Kx",
        "linop": {"op": "fft", "in": f"Y={size} X={size}", "axes": ["Y", "X"], "out": "Ky Kx"},
    }
    arrays = {"f.npy": field.reshape(size, size), "t.npy": times.reshape(size, size)}
    compare(f"off-resonance {size}^2 to {size}^2, tol 1e-3", linop, arrays, [("forward", "NumPy, as a matrix", lambda: matrix @ x)])


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


def products():
    torch = module("torch")
    complex_ = lambda *shape: (RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)).astype(np.complex64)  # noqa: E731
    for rows, terms, columns in ((1024, 1024, 64), (64, 32, 65536), (8, 32, 65536)):
        w, x, y = complex_(rows, terms), complex_(terms, columns), complex_(rows, columns)
        linop = {"op": "dense", "in": f"N={terms} T={columns}", "weight": "w.npy", "dims": "M N", "out": "M T"}
        adjoint = w.conj().T.copy()
        peers = [("forward", "NumPy", lambda: w @ x), ("adjoint", "NumPy", lambda: adjoint @ y)]
        if torch:
            torch.set_num_threads(THREADS)
            a, b = torch.from_numpy(w), torch.from_numpy(x)
            peers.append(("forward", "torch matmul", lambda: a @ b))
        compare(f"product {rows} x {terms} by {terms} x {columns}, complex", linop, {"w.npy": w}, peers)


# All, or those that are named behind the rounds.
WORKS = [convolutions, wavelets, projections, fans, neighbours, transforms, points, fields, products]
print(f"{THREADS} threads, medians of {ROUNDS} rounds of {RUNS} runs")
for work in WORKS:
    if not sys.argv[3:] or work.__name__ in sys.argv[3:]:
        work()
write()
