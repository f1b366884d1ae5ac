"""What scripts/bench-peers runs for solvers and applications: see there.

Gaps of a picture beside PyLops' fista, and total variation of a picture beside scikit-image's, to within 1e-3 of the limit of one
objective. Scans beside SigPy's L1WaveletRecon and TotalVariationRecon, and gaps beside PyLops' splitbregman, each to within 1e-3 of
its own limit: theirs penalise all coefficients of a transform that is not orthonormal, and wrap differences round or add their
magnitudes axis by axis, so there is no one objective. Richardson-Lucy step by step beside scikit-image, SIRT and
conjugate gradients to the misfit that its iradon_sart leaves. Times are those of the host
without reading files, medians over alternating rounds. Where BART's `bart` is on the path, scans beside it, both as
whole commands with their files, each until its image is within 1e-3 of its own limit.
"""

# First: it says how many threads libraries have.
from beside import BINARY, RNG, ROUNDS, THREADS, module, record, write

import json  # isort: skip
import bisect
import os
import shutil
import subprocess
import tempfile
import time

import numpy as np

FOLDER = tempfile.mkdtemp()


def path(name, array=None):
    file = os.path.join(FOLDER, name)
    if array is not None:
        np.save(file, array)
    return file


def ours(verb, *args):
    command = [BINARY, verb, *args, "-o", path("out.npy"), "--force", "--device", "host", "--json"]
    done = subprocess.run(command, check=True, capture_output=True)
    return json.loads(done.stdout)


def timed(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def compare(name, mine, whose, theirs):
    """Functions that give seconds."""
    record(name, "", whose, [(mine(), theirs()) for _ in range(ROUNDS)])


def head(n):
    y, x = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]
    image = np.zeros((n, n))
    for v, a, b, cx, cy in ((1, 0.7, 0.9, 0, 0), (-0.6, 0.62, 0.82, 0, 0), (0.3, 0.2, 0.3, 0.2, -0.1), (0.5, 0.1, 0.15, -0.25, 0.2)):
        image[((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 < 1] += v
    return image


def first_within(values, part=1e-3):
    least = min(values)
    return next(k for k, v in enumerate(values) if v <= least * (1 + part)) + 1


def scan(n, coils):
    """k-space, maps and mask of a head."""
    y, x = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]
    angles = 2 * np.pi * np.arange(coils) / coils
    maps = np.stack([np.exp(-((x - np.cos(t)) ** 2 + (y - np.sin(t)) ** 2) / 1.5 + 1j * t) for t in angles])
    maps /= np.sqrt((abs(maps) ** 2).sum(0))
    mask = (RNG.random((n, n)) < 0.15) | (np.hypot(x, y) < 0.15)
    kspace = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(maps * head(n), axes=(1, 2)), norm="ortho"), axes=(1, 2))
    kspace += 0.005 * (RNG.standard_normal(kspace.shape) + 1j * RNG.standard_normal(kspace.shape))
    kspace = (kspace * mask).astype(np.complex64)
    return kspace, maps.astype(np.complex64), mask


def scans():
    app, sigpy = module("sigpy.mri.app"), module("sigpy")
    if app is None:
        return
    n, coils = 192, 8
    kspace, maps, mask = scan(n, coils)
    files = [path("k.npy", kspace), "--maps", path("m.npy", maps), "--mask", path("w.npy", mask.astype(np.float32))]
    back = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes=(1, 2)), norm="ortho"), axes=(1, 2))
    scale = float(abs((maps.conj() * back).sum(0)).max())
    for reg, theirs, name in (
        ("l1-wavelet", app.L1WaveletRecon, "SigPy L1WaveletRecon"),
        ("tv", app.TotalVariationRecon, "SigPy TotalVariationRecon"),
    ):
        weight = 0.003
        args = dict(weights=mask, show_pbar=False, save_objective_values=True)
        long = theirs(kspace, maps, weight * scale, max_iter=500, **args)
        long.run()
        their_iterations = first_within([float(v) for v in long.objective_values])
        asked = ["--reg", f"{reg}:{weight}"]
        history = ours("recon", *files, *asked, "--tol", "1e-6", "--iterations", "3000")["history"]
        at = first_within([v for _, v in history])
        iterations = history[at - 1][0]
        short = [*files, *asked, "--tol", "0", "--iterations", str(iterations)]
        compare(
            f"{reg}, {coils} coils of {n}x{n}, {iterations} iterations",
            lambda: ours("recon", *short)["seconds"],
            f"{name}, {their_iterations} iterations",
            lambda: timed(theirs(kspace, maps, weight * scale, weights=mask, max_iter=their_iterations, show_pbar=False).run),
        )


def bart_scans():
    if shutil.which("bart") is None:
        print("bart is not installed: its rows are left out", flush=True)
        return
    n, coils = 256, 8
    kspace, maps, _ = scan(n, coils)
    back = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes=(1, 2)), norm="ortho"), axes=(1, 2))
    scale = float(abs((maps.conj() * back).sum(0)).max())
    for name, array in (("k", kspace), ("m", maps)):
        path(f"{name}.npy", array)
        array.tofile(path(f"{name}.cfl"))
        with open(path(f"{name}.hdr"), "w") as header:
            header.write(f"# Dimensions\n{n} {n} 1 {coils}\n")

    def run(*command):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - start

    def own(iterations, *asked):
        common = [path("k.npy"), "--maps", path("m.npy"), "-o", path("o.npy"), "--force", "--device", "host"]
        return run(BINARY, "recon", *common, *asked, "--tol", "0", "--iterations", str(iterations))

    def their(iterations, *asked):
        return run("bart", "pics", "-S", "-w", "1", "-i", str(iterations), *asked, path("k"), path("m"), path("b"))

    def image(whose):
        return np.load(path("o.npy")) if whose is own else np.fromfile(path("b.cfl"), np.complex64).reshape(n, n)

    def to_rest(whose, *asked):
        """The least power of 2, or 3/2 of one, of iterations whose image is within 1e-3 of that of 768."""
        counts = sorted([2**k for k in range(2, 9)] + [3 * 2**k for k in range(1, 8)])
        whose(2 * counts[-1], *asked)
        limit = image(whose)
        for count in counts:
            whose(count, *asked)
            if np.linalg.norm(image(whose) - limit) <= 1e-3 * np.linalg.norm(limit):
                return count
        return counts[-1]

    weight = 0.003
    for reg, mine, theirs in (
        ("l2", ["--lambda", "0.01"], ["-l2", "-r", "0.01"]),
        ("l1-wavelet", ["--reg", f"l1-wavelet:{weight}"], ["-R", f"W:3:0:{weight * scale}"]),
        ("tv", ["--reg", f"tv:{weight}"], ["-R", f"T:3:0:{weight * scale}"]),
    ):
        ours_at, theirs_at = to_rest(own, *mine), to_rest(their, *theirs)
        compare(
            f"{reg}, {coils} coils of {n}x{n}, {ours_at} iterations, files read",
            lambda: own(ours_at, *mine),
            f"BART pics, {theirs_at} iterations",
            lambda: their(theirs_at, *theirs),
        )
    compare(
        f"ESPIRiT maps, {coils} coils of {n}x{n}, files read",
        lambda: run(BINARY, "calibrate", path("k.npy"), "-o", path("c.npy"), "--force"),
        "BART ecalib -m 1 -r 24",
        lambda: run("bart", "ecalib", "-m", "1", "-r", "24", path("k"), path("e")),
    )


def pictures():
    restoration, signal = module("skimage.restoration"), module("scipy.signal")
    if restoration is None or signal is None:
        return
    n, taps = 512, 15
    t = np.mgrid[-2 : 2 : taps * 1j]
    psf = np.exp(-(t[:, None] ** 2 + t[None] ** 2))
    psf /= psf.sum()
    # A turned one is no product of two lines.
    turned = np.exp(-(t[:, None] ** 2 + 0.4 * t[None] ** 2 + 0.6 * t[:, None] * t[None]))
    for name, psf in (("round", psf), ("turned", turned / turned.sum())):
        image = signal.fftconvolve(head(n) + 0.1, psf, mode="same").astype(np.float32)
        image = np.maximum(image, 0)
        files = [path("i.npy", image), "--psf", path("p.npy", psf.astype(np.float32)), "--boundary", "zero"]
        steps = 30
        compare(
            f"Richardson-Lucy, {n}x{n}, {name} psf {taps}x{taps}, {steps} steps",
            lambda: ours("deconv", *files, "--method", "rl", "--iterations", str(steps), "--tol", "0")["seconds"],
            "skimage richardson_lucy",
            lambda: timed(lambda: restoration.richardson_lucy(image, psf, num_iter=steps)),
        )
    noisy = (head(n) + 0.1 * RNG.standard_normal((n, n))).astype(np.float32)
    weight = 0.1

    def objective(x):
        steps = [np.diff(x.astype(np.float64), axis=a, append=np.take(x, [-1], a)) for a in (0, 1)]
        return 0.5 * ((x - noisy.astype(np.float64)) ** 2).sum() + weight * np.sqrt(steps[0] ** 2 + steps[1] ** 2).sum()

    def chambolle(steps):
        return restoration.denoise_tv_chambolle(noisy, weight=weight, eps=0, max_num_iter=steps)

    def own(*asked):
        return ours("denoise", path("n.npy", noisy), "--reg", f"tv:={weight}", *asked)

    def own_after(steps):
        found = own("--tol", "0", "--iterations", str(steps))
        return objective(np.load(path("out.npy"))), found

    limit = own_after(2000)[0]
    mine, theirs = (
        next((k for k in range(step, 2000, step) if after(k) <= limit * (1 + 1e-3)), 2000)
        for step, after in ((2, lambda k: own_after(k)[0]), (5, lambda k: objective(chambolle(k))))
    )
    rest = own()
    print(f"total variation, {n}x{n}, {rest['parts'][0]['iterations']} iterations to rest {rest['seconds']:8.3f} s", flush=True)
    compare(
        f"total variation, {n}x{n}, {mine} iterations",
        lambda: own_after(mine)[1]["seconds"],
        f"skimage denoise_tv_chambolle, {theirs}",
        lambda: timed(lambda: chambolle(theirs)),
    )


def gaps():
    pylops, wavelets = module("pylops"), module("pywt")
    if pylops is None or wavelets is None:
        return
    sparsity, classes = module("pylops.optimization.sparsity"), module("pylops.optimization.cls_sparsity")
    n, noise = 256, 0.05
    known = RNG.random((n, n)) < 0.5
    picture = (head(n) + noise * RNG.standard_normal((n, n))).astype(np.float32)
    files = [path("g.npy", picture), "--mask", path("known.npy", known.astype(np.float32))]
    restrict = pylops.Restriction(n * n, np.flatnonzero(known), dtype="float32")
    y = picture[known]
    weight = 0.05
    differences = [pylops.FirstDerivative((n, n), axis=a, kind="forward", dtype="float32") for a in (0, 1)]
    transform = pylops.signalprocessing.DWT2D((n, n), wavelet="db4", level=3, dtype="float32")

    def bregman(steps, callback=None):
        return sparsity.splitbregman(
            restrict, y, differences, niter_outer=steps, niter_inner=1, mu=1 / weight, epsRL1s=[1, 1], tol=1e-12,
            callback=callback, iter_lim=5, damp=0,
        )

    # As ours, the coarsest approximation is not penalised.
    weights = np.ones((n, n), np.float32)
    weights[: n // 8, : n // 8] = 0
    weights = weights.ravel()

    def fista(steps, callback=None):
        # Its SOp is the synthesis, and its objective has no half before the squares.
        solver = classes.FISTA(restrict)
        if callback:
            solver.callback = callback
        x = solver.setup(y, niter=steps, SOp=transform.H, eps=2 * weight, alpha=1.0, tol=1e-12)
        solver.thresh = solver.thresh * weights
        solver.run(x, steps)

    for reg, theirs, penalty, name in (
        ("tv", bregman, lambda x: sum(abs(d @ x).sum() for d in differences), "PyLops splitbregman"),
        ("l1-wavelet", fista, lambda x: (weights * abs(transform @ x)).sum(), "PyLops fista"),
    ):
        values = []
        theirs(400, lambda x: values.append(0.5 * float(((restrict @ x - y) ** 2).sum()) + weight * float(penalty(x))))
        asked = [*files, "--reg", f"{reg}:={weight}", "--tol"]

        def after(steps):
            return ours("inpaint", *asked, "0", "--iterations", str(steps))["parts"][0]["objective"]

        # As theirs: so many iterations as are within 1e-3 of the limit. What is certain of it takes as long as is told beside it.
        limit = after(1000)
        steps = next((k for k in range(1, 1000) if after(k) <= limit * (1 + 1e-3)), 1000)
        if theirs is fista:
            # One objective: the least that either comes to.
            apart = abs(min(values) / limit - 1)
            assert apart < 1e-3, f"two limits, {apart:.1e} apart"
            values.append(limit)
        iterations = first_within(values)
        rest = [ours("inpaint", *asked, "1e-3") for _ in range(ROUNDS)]
        seconds = float(np.median([r["seconds"] for r in rest]))
        print(f"{reg}, half of {n}x{n} known, {rest[0]['parts'][0]['iterations']} iterations to rest {seconds:8.3f} s", flush=True)
        compare(
            f"{reg}, half of {n}x{n} known, {steps} iterations",
            lambda: ours("inpaint", *asked, "0", "--iterations", str(steps))["seconds"],
            f"{name}, {iterations} iterations",
            lambda: timed(lambda: theirs(iterations)),
        )


def projections():
    transform = module("skimage.transform")
    if transform is None:
        return
    n, views = 192, 120
    theta = np.linspace(0, 180, views, endpoint=False)
    image = head(n) * (np.hypot(*np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]) < 0.95)
    sino = transform.radon(image, theta, circle=True).astype(np.float32)
    files = [path("s.npy", np.ascontiguousarray(sino.T)), "--angles", path("a.npy", theta.astype(np.float32))]
    compare(
        f"filtered back-projection, {views} views of {n}",
        lambda: ours("ct", *files, "--size", str(n))["seconds"],
        "skimage iradon",
        lambda: timed(lambda: transform.iradon(sino, theta, circle=True)),
    )
    sart = lambda: transform.iradon_sart(sino, theta, transform.iradon_sart(sino, theta))
    # One objective, by the projector of each: what 2 passes leave of the data.
    left = float(np.linalg.norm(transform.radon(sart(), theta, circle=True) - sino) / np.linalg.norm(sino))
    for method in ("sirt", "cg"):
        iterative = lambda k: ours("ct", *files, "--method", method, "--iterations", str(k), "--tol", "0", "--size", str(n))
        enough = lambda k: iterative(k)["misfit"] <= left
        most = next(2**k for k in range(12) if enough(2**k))
        steps = bisect.bisect_left(range(most), True, lo=most // 2, key=enough)
        compare(
            f"{method}, {steps} iterations to a misfit of {left:.1e}, {views} views of {n}",
            lambda: iterative(steps)["seconds"],
            "skimage iradon_sart, 2 passes",
            lambda: timed(sart),
        )
    few_views()


def few_views():
    """Total variation from few views, to rest: how long it takes, and how far the objective is from that of a long run."""
    n, views = 320, 46
    y, x = np.mgrid[: n, : n] - (n - 1) / 2
    theta = np.linspace(0, 180, views, endpoint=False)
    image = 0.02 * head(n)
    # Sums along rays by turning them onto columns.
    ndimage = module("scipy.ndimage")
    if ndimage is None:
        return
    turned = lambda t: ndimage.map_coordinates(image, [
        y * np.cos(np.deg2rad(t)) - x * np.sin(np.deg2rad(t)) + (n - 1) / 2, x * np.cos(np.deg2rad(t)) + y * np.sin(np.deg2rad(t)) + (n - 1) / 2,
    ], order=1)
    sino = np.stack([turned(t).sum(0) for t in theta])
    sino += 0.02 * RNG.standard_normal(sino.shape)
    files = [path("f.npy", sino.astype(np.float32)), "--angles", path("t.npy", theta.astype(np.float32)), "--reg", "tv"]
    runs = [ours("ct", *files) for _ in range(ROUNDS)]
    long = ours("ct", *files, "--tol", "1e-7", "--iterations", "4000")
    seconds = float(np.median([r["seconds"] for r in runs]))
    above = runs[0]["objective"] / long["objective"] - 1
    print(f"tv, {views} views of {n}, {runs[0]['iterations']} iterations {seconds:8.3f} s   above the limit by {above:.1e}", flush=True)


def main():
    print(f"{THREADS} threads, {ROUNDS} rounds", flush=True)
    scans()
    bart_scans()
    pictures()
    gaps()
    projections()


main()
write()
