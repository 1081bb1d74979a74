"""Milliseconds of a training step of the paper's network on the CPU, by threads, memory format and batch size.

    python benchmarks/train_step.py

Compare the rows of one run with each other: absolute times depend on what else the machine does.
"""

import fer_lightning.config.resolvers  # noqa: F401, I001  sets OMP_WAIT_POLICY before torch is imported

import itertools
import statistics
import time
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

STEPS = 15

with initialize_config_dir(str(Path(__file__).parents[1] / "conf"), version_base="1.3"):
    node = compose("train").embedder

formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
for batch_size, threads, name in itertools.product((16, 32), (1, 2), formats):
    torch.set_num_threads(threads)
    embedder = instantiate(node).to(memory_format=formats[name])
    optimizer = torch.optim.Adam(embedder.parameters(), lr=1e-4)
    images = torch.randn(batch_size, 1, 48, 48).contiguous(memory_format=formats[name])
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        optimizer.zero_grad()
        embedder(images)[:, 0].sum().backward()
        optimizer.step()
        times.append(1000 * (time.perf_counter() - start))
    print(f"batch {batch_size}  threads {threads}  {name:13}  {statistics.median(times):6.1f} ms a step")
