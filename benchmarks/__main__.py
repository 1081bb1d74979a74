"""Run every benchmark, print one table and write it to docs/results/speed.md: python benchmarks [NAME ...]."""

import subprocess
import sys
import time
from pathlib import Path

from harness import ROOT, Claim, environment, machine, read, table

HERE = Path(__file__).parent
NO_CLAIMS = {
    "__main__",
    "harness",
    "people",
    "labels",
    "corrections",
    "audit_sizes",
    "waits",
    "gpu",
}  # the last is for make bench-gpu
RESULTS = ROOT / "docs/results/speed.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def main(names: list[str]) -> str | None:
    """Run the named benchmarks, or all, each in its own process; return a line about those that failed, or None."""
    files = sorted(path for path in HERE.glob("*.py") if path.stem in (names or {path.stem} - NO_CLAIMS))
    claims: list[Claim] = []
    failed = []
    began = time.perf_counter()
    before = machine()
    for file in files:
        start = time.perf_counter()
        process = subprocess.run(
            [sys.executable, str(file), "--json"], cwd=ROOT, env=environment(), capture_output=True, text=True
        )
        claims += read(process.stdout)
        if process.returncode:
            failed.append(file.stem)
            print(process.stderr[-3000:], file=sys.stderr)
        print(f"{file.stem}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    claims.sort(key=lambda claim: claim.number)
    print(table(claims))
    if not names:
        minutes = (time.perf_counter() - began) / 60
        broken = f" Failed: {', '.join(failed)}." if failed else ""
        measured = f"{table(claims)}\n\nMeasured in {minutes:.0f} minutes on {before}{broken}"
        text = RESULTS.read_text(encoding="utf-8")
        head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
        RESULTS.write_text(f"{head}{BEGIN}\n\n{measured}\n\n{END}{tail}", encoding="utf-8")
    return f"failed: {', '.join(failed)}" if failed else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
