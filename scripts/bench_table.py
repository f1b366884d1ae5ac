"""What scripts/bench-peers table runs: the tables of README.md and docs/performance.md, from what the last runs left.

A table stands between <!-- bench-peers NAME --> and <!-- end -->, and is that of target/bench-peers/NAME.json; where there is none it
stays as it is.
"""

import json
import os
import re

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
MARKED = re.compile(r"(<!-- bench-peers (\w+) -->\n).*?(<!-- end -->)", re.S)


def table(rows):
    """Rows as Markdown: a line for each work, with all that stands beside it."""
    lines = ["| work | ms | theirs / ours |", "|---|---:|---|"]
    works = {}
    for r in rows:
        works.setdefault((r["work"], r["direction"]), []).append(r)
    for (work, direction), beside in works.items():
        name = work + (f", {direction}" if direction not in ("", "forward") else "")
        own = sorted(r["ms"] for r in beside)[len(beside) // 2]
        others = "; ".join(f"{r['whose']}: {r['theirs_over_ours']:.2f}" for r in beside)
        lines.append(f"| {name} | {own:.0f} | {others} |" if own >= 100 else f"| {name} | {own:.3g} | {others} |")
    return "\n".join(lines) + "\n"


def anew(match):
    before, name, after = match.groups()
    path = os.path.join(ROOT, "target", "bench-peers", f"{name}.json")
    if not os.path.exists(path):
        print(f"{name}: no run is kept, its table stays")
        return match.group(0)
    with open(path) as f:
        run = json.load(f)
    head = f"{run['processor']}, {run['threads']} threads, {run['date']}, {run['rounds']} rounds:\n\n"
    return f"{before}{head}{table(run['rows'])}{after}"


def main():
    for name in ("README.md", os.path.join("docs", "performance.md")):
        path = os.path.join(ROOT, name)
        with open(path) as f:
            text = f.read()
        assert MARKED.search(text), f"{name} has no place for a table"
        with open(path, "w") as f:
            f.write(MARKED.sub(anew, text))


if __name__ == "__main__":
    main()
