"""What scripts/bench-peers runs for Fourier transforms: see there.

Complex and real transforms, powers of two, 5-smooth and awkward lengths, beside FFTW (by pyFFTW, measured plans on buffers of its
own), SciPy's pocketfft and PyTorch (MKL). What is not installed is left out and said. Theirs are without a norm where that can be
left out, ours unitary.
"""

# First: it says how many threads libraries have.
from beside import BINARY, RNG, ROUNDS, THREADS, compare, module, record, timed, write

import json  # isort: skip
import os
import subprocess
import tempfile

import numpy as np

FFTW, SCIPY, TORCH = module("pyfftw"), module("scipy.fft"), module("torch")
if TORCH:
    TORCH.set_num_threads(THREADS)

# Shape, axes that are transformed.
COMPLEX = [
    ((32, 256, 256), 2), ((8, 512, 512), 2), ((1, 1024, 1024), 2), ((1, 4096, 4096), 2), ((10, 320, 320), 2),
    ((1, 128, 128, 128), 3), ((1, 256, 256, 256), 3), ((1, 160, 160, 160), 3),
    ((4096, 256), 1), ((256, 4096), 1), ((64, 65536), 1), ((1024, 1000), 1), ((1024, 1021), 1),
]
REAL = [((8, 512, 512), 2), ((1, 1024, 1024), 2), ((4096, 256), 1), ((256, 4096), 1)]


def extents(shape):
    names = ["B", "Z", "Y", "X"]
    return " ".join(f"{n}={e}" for n, e in zip([names[0]] + names[len(names) - len(shape) + 1:], shape))


def named(shape):
    batch = f"{shape[0]} x " if shape[0] > 1 else ""
    return batch + " x ".join(map(str, shape[1:]))


def transforms(shape, axes, real):
    x = RNG.standard_normal(shape).astype(np.float32)
    if not real:
        x = (x + 1j * RNG.standard_normal(shape)).astype(np.complex64)
    over = tuple(range(len(shape) - axes, len(shape)))
    name = "rfft" if real else "fft"
    linop = {"op": name, "in": extents(shape), "axes": ["Z", "Y", "X"][3 - axes:]}
    made = shape[:-1] + (shape[-1] // 2 + 1,) if real else shape
    peers = []
    if FFTW:
        a, b = FFTW.empty_aligned(shape, x.dtype), FFTW.empty_aligned(made, "complex64")
        plan = FFTW.FFTW(a, b, axes=over, threads=THREADS, flags=("FFTW_MEASURE",), planning_timelimit=20)
        a[:] = x
        peers.append(("forward", "FFTW", plan.execute))
    if SCIPY:
        f = SCIPY.rfftn if real else SCIPY.fftn
        peers.append(("forward", "scipy.fft", lambda: f(x, axes=over, workers=THREADS)))
    if TORCH:
        t, g = TORCH.from_numpy(x), TORCH.fft.rfftn if real else TORCH.fft.fftn
        peers.append(("forward", "torch.fft", lambda: g(t, dim=over)))
    compare(f"{name} {named(shape)}", linop, {}, peers, real)


def sense(coils, size):
    """The normal of SENSE with every second line, as it is written by hand: maps, centred transform, mask, and back. Also 30 steps of
    conjugate gradients on it, ours with the reading of files and the right-hand side left out."""
    if not TORCH:
        return
    maps = (RNG.standard_normal((coils, size, size)) + 1j * RNG.standard_normal((coils, size, size))).astype(np.complex64)
    mask = np.zeros((size, size), np.float32)
    mask[::2] = 1
    image = f"Y={size} X={size}"
    linop = {"op": "chain", "in": image, "linops": [
        {"op": "diagonal", "weight": "maps.npy", "dims": "C Y X", "out": "C Y X"},
        {"op": "fft", "axes": ["Y", "X"], "centered": True, "out": "C Ky Kx"},
        {"op": "diagonal", "weight": "mask.npy", "dims": "Ky Kx"},
    ]}
    x, s, m = (TORCH.from_numpy(a) for a in (maps[0].copy(), maps, mask))
    over = (-2, -1)

    def normal(x):
        y = TORCH.fft.ifftshift(s * x, dim=over)
        y = TORCH.fft.fftshift(TORCH.fft.fftn(y, dim=over, norm="ortho"), dim=over) * m
        y = TORCH.fft.ifftshift(y, dim=over)
        return (s.conj() * TORCH.fft.fftshift(TORCH.fft.ifftn(y, dim=over, norm="ortho"), dim=over)).sum(0)

    arrays = {"maps.npy": maps, "mask.npy": mask}
    compare(f"SENSE normal, {coils} coils of {size}^2", linop, arrays, [("normal", "torch, by hand", lambda: normal(x))])
    b = normal(x)

    def gradients(steps):
        z, r = TORCH.zeros_like(b), b.clone()
        p, now = r.clone(), TORCH.vdot(r.ravel(), r.ravel()).real
        for _ in range(steps):
            q = normal(p) + 0.01 * p
            by = now / TORCH.vdot(p.ravel(), q.ravel()).real
            z, r = z + by * p, r - by * q
            before, now = now, TORCH.vdot(r.ravel(), r.ravel()).real
            p = r + now / before * p
        return z

    steps = 30
    with tempfile.TemporaryDirectory() as folder:
        data = {"k": (RNG.standard_normal(maps.shape) * mask).astype(np.complex64), "maps": maps, "mask": mask}
        for name, array in data.items():
            np.save(os.path.join(folder, f"{name}.npy"), array)
        paths = {name: os.path.join(folder, f"{name}.npy") for name in (*data, "out")}
        command = [BINARY, "recon", paths["k"], "--maps", paths["maps"], "--mask", paths["mask"], "-o", paths["out"], "--force"]
        command += ["--lambda", "0.01", "--tol", "0", "--iterations", str(steps), "--device", "host", "--json"]

        def mine():
            return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["seconds"]

        rows = [(mine(), timed(lambda: gradients(steps), 1)) for _ in range(2 * ROUNDS + 1)]
        record(f"{steps} conjugate gradients, {coils} coils of {size}^2", "", "torch, by hand", rows)


print(f"{THREADS} threads, medians of {ROUNDS} rounds")
for shape, axes in COMPLEX:
    transforms(shape, axes, False)
for shape, axes in REAL:
    transforms(shape, axes, True)
for coils, size in ((8, 256), (16, 320)):
    sense(coils, size)
write()
