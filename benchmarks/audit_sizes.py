"""Print the time of the audit for numbers of FER_DATA's faces; above their number, turned and shifted copies are added.

    FER_DATA=face-expression-recognition-dataset.zip python benchmarks/audit_sizes.py 8972 35887 63000

Each line has processor seconds, their share of n log n, and the peak memory of the process.
"""

import resource
import sys
import tempfile
from pathlib import Path

import torch
from harness import configure
from hydra.utils import instantiate
from size import by_n_log_n, search

torch.set_num_threads(1)

with tempfile.TemporaryDirectory() as name:
    faces = instantiate(configure(Path(name)).data).faces
    for count in map(int, sys.argv[1:]):
        duration = search(faces, count, name)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        each = by_n_log_n(duration, count)
        print(f"{count:,} faces: {duration:.1f} s, {each:.0f} us n log n, {memory:,.0f} MiB", flush=True)
