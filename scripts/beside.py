"""What the scripts of bench-peers share: linops from the command line beside functions of other libraries, on the host.

Rounds alternate; times are medians, ratios medians of the rounds' ratios. At the end all rows are written as JSON and as a table of
Markdown under target/bench-peers: bench_table.py reads them.
"""

import contextlib
import json
import os
import platform
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
from bench_table import table  # noqa: E402

warnings.filterwarnings("ignore")
RUNS = 5
RNG = np.random.default_rng(0)
ROWS = []


def module(name):
    try:
        return __import__(name, fromlist=["_"])
    except ImportError:
        print(f"{name} is not installed: its rows are left out", flush=True)
        return None


def timed(f, runs=RUNS):
    f()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def ours(path, real=False):
    """Seconds of the linop in a file, by direction."""
    command = [BINARY, "bench", path, "--device", "host", "--runs", str(RUNS), "--json"] + ["--real"] * real
    done = subprocess.run(command, check=True, capture_output=True)
    return {row["direction"]: row["seconds"] for row in json.loads(done.stdout)["rows"]}


def record(work, direction, whose, pairs):
    """Keeps and prints a row: pairs of seconds, ours and theirs, of rounds that alternate."""
    mine, theirs = (float(np.median([pair[k] for pair in pairs])) for k in (0, 1))
    ratio = float(np.median([pair[1] / pair[0] for pair in pairs]))
    row = {"work": work, "direction": direction, "ms": 1e3 * mine, "whose": whose, "theirs_ms": 1e3 * theirs, "theirs_over_ours": ratio}
    ROWS.append(row)
    print(
        f"{work:52} {direction:8} {1e3 * mine:9.2f} ms   {whose:36} {1e3 * theirs:9.2f} ms   theirs / ours {ratio:6.2f}",
        flush=True,
    )


def compare(name, linop, arrays, peers, real=False):
    """peers: (direction, whose, function). With `real` values are real numbers for ours, too."""
    with tempfile.TemporaryDirectory() as folder:
        for file, array in arrays.items():
            np.save(os.path.join(folder, file), array)
        path = os.path.join(folder, "linop.json")
        with open(path, "w") as f:
            json.dump(linop, f)
        rows = []
        for _ in range(ROUNDS):
            row = ours(path, real)
            for k, (_, _, f) in enumerate(peers):
                row[k] = timed(f)
            rows.append(row)
    for k, (direction, whose, _) in enumerate(peers):
        record(name, direction, whose, [(row[direction], row[k]) for row in rows])


def processor():
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def write():
    """Keeps the rows, at the end of a script: a run that fails keeps nothing. Works that are named are no table."""
    if not ROWS or sys.argv[3:]:
        return
    what = os.path.splitext(os.path.basename(sys.argv[0]))[0].removeprefix("bench_")
    folder = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "..", "target", "bench-peers")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"{what}.json"), "w") as f:
        json.dump({"date": time.strftime("%Y-%m-%d"), "processor": processor(), "threads": THREADS, "rounds": ROUNDS, "rows": ROWS}, f, indent=1)
    with open(os.path.join(folder, f"{what}.md"), "w") as f:
        f.write(table(ROWS))
