"""How long the audit takes: python benchmarks/audit.py FACES, a folder, zip or csv.

Measured on FER2013's 35,887 faces, two shared cores otherwise idle: 22.8 s for all twins and the sampled search for
augmented copies, after reading. One run.
"""

import sys
import tempfile
import time

import fer_lightning  # noqa: F401  sets the environment before the libraries are imported
from fer_lightning.data.audit import audit
from fer_lightning.data.readers import read_faces

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as cache:
        faces = read_faces(sys.argv[1], cache, {}, image_size=48)
        for attempt in ("searched", "from the cache"):
            start = time.perf_counter()
            lines = audit(faces, cache).lines()
            print(f"{len(faces):,} faces {attempt}: {time.perf_counter() - start:.1f} s")
    print("\n".join(lines))
