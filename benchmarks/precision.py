"""Claims 11 and 12: what trainer.deterministic=true costs, and what trainer.precision=bf16-mixed gains at batch 126.

bf16 is fast where the processor computes it (avx512_bf16, AMX); elsewhere it is slower than float32.
"""

import tempfile
from functools import partial
from pathlib import Path

import torch
from harness import Claim, compare, configure, main
from hydra.utils import instantiate
from training_loop import options, train


def measure(tiny: bool) -> list[Claim]:
    """Return both claims."""
    claims, few = [], 4 if computes_bf16() else 1  # steps, of which one takes many seconds where it does not
    with tempfile.TemporaryDirectory() as folder:
        for number, size, steps, option, name, target in (
            (11, 16, 60, "trainer.deterministic=true", "trainer.deterministic=true over false, batch 16", 0.97),
            (12, 126, few, "trainer.precision=bf16-mixed", "bf16-mixed over fp32, batch 126", 1.8),
        ):
            steps = 1 if tiny else steps
            rounds = 1 if tiny else 3
            if number == 12 and not computes_bf16():
                name, rounds = f"{name} (the processor has no bf16)", 1
            overrides = [*options(size, steps), "~callbacks.quick_validation"]
            datamodule = instantiate(configure(Path(folder), *overrides).data)
            datamodule.setup("fit")
            sides = [
                partial(train, configure(Path(folder), *overrides, *extra), steps, datamodule, size)
                for extra in ([option], [])
            ]
            claims.append(compare(number, name, *sides, "pictures/s", target, "at least", rounds))
            torch.use_deterministic_algorithms(False)  # which the Trainer has set for the whole process
    return claims


def computes_bf16() -> bool:
    """Return whether the processor multiplies bfloat16, as Linux says."""
    file = Path("/proc/cpuinfo")
    return not file.exists() or any(flag in file.read_text() for flag in ("avx512_bf16", "amx_bf16"))


if __name__ == "__main__":
    main(measure)
