"""Claim 18: reading 300,000 pictures by a list holds at most 1.2 times their grey pixels in memory.

The pictures are links to a few files, so that the disk stays small. A process of its own reads them. Its peak is
counted above what it holds after its imports. ``--show`` lets its lines on how far it is through.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from harness import ROOT, Claim, environment, main
from PIL import Image

COUNT, SIZE, CLASSES = 300_000, 48, 7
LINKS = 10_000  # to one file; ext4 allows 65,000
READ = """
import logging, re, sys
from pathlib import Path
from fer_lightning.data.lists import LabelList
from fer_lightning.data.readers import read_faces
logging.basicConfig(level=logging.INFO)
status = lambda field: int(re.search(rf"{field}:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
held = status("VmRSS")
faces = read_faces("pictures", "cache", {}, 48, labels=LabelList("list.csv"))
assert len(faces) == int(sys.argv[1]) and not faces.unreadable
print(1024 * (status("VmHWM") - held))
"""


def write(folder: Path, count: int) -> None:
    """Write the pictures and their list."""
    random, rows = np.random.default_rng(0), ["file,label,split,person"]
    (folder / "pictures").mkdir()
    for first in range(0, count, LINKS):
        pixels = random.integers(256, size=(SIZE // 4, SIZE // 4, 3), dtype=np.uint8)
        file = folder / f"{first}.jpg"
        Image.fromarray(pixels).resize((SIZE, SIZE)).convert("L").save(file)
        (folder / "pictures" / f"{first:07}").mkdir()
        for number in range(first, min(first + LINKS, count)):
            name = f"{first:07}/face_{number:07}.jpg"
            os.link(file, folder / "pictures" / name)
            rows.append(f"{name},{number % CLASSES},{('train', 'test')[number // CLASSES % 2]},P{number // 100}")
    (folder / "list.csv").write_text("\n".join(rows), encoding="utf-8")


def measure(tiny: bool) -> list[Claim]:
    """Return the claim, of one round."""
    count = 1_000 if tiny else COUNT
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), count)
        process = subprocess.run(
            [sys.executable, "-c", READ, str(count)],
            cwd=folder,
            env=environment() | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=None if "--show" in sys.argv else subprocess.DEVNULL,
            text=True,
            check=True,
        )
    peak, pixels = int(process.stdout), count * SIZE**2
    name = f"memory of reading {count:,} pictures by a list over their grey pixels"
    return [Claim(18, name, peak / 2**20, pixels / 2**20, "MiB", [peak / pixels], 1.2, "at most")]


if __name__ == "__main__":
    main(measure)
