"""Many odd inputs in a few forked processes: none can hang, fill the memory or take the others with it."""

import json
import os
import random
import select
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from fer_lightning.errors import UserError
from fer_lightning.names import printable

ANSWER, REFUSAL, WRONG = "answer", "refusal", "wrong"
LONGEST = 2_000  # characters of a sentence


class Outcome(NamedTuple):
    """The end of one attempt."""

    kind: str
    value: str  # the answer, the sentence of a refusal, or what went wrong


def attempts(
    cases: Mapping[str, Callable[[], str]], seconds: float = 60, megabytes: int = 500
) -> Iterator[tuple[str, Outcome]]:
    """Yield the outcome of each case, in their order.

    Args:
        cases: Name -> function that returns an answer.
        seconds: Time limit of a case.
        megabytes: Memory that a case may take, over what the process has.
    """
    waiting = list(cases)
    while waiting:
        reader, child = _fork(cases, waiting, megabytes)
        try:
            buffer, deadline = b"", time.monotonic() + seconds
            while waiting:
                if not select.select([reader], [], [], max(0, deadline - time.monotonic()))[0]:
                    yield waiting.pop(0), Outcome(WRONG, f"no end after {seconds:g} s")
                    break
                chunk = os.read(reader, 65536)
                if not chunk:
                    break
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    yield waiting.pop(0), Outcome(*json.loads(line))
                    deadline = time.monotonic() + seconds
        finally:
            os.kill(child, signal.SIGKILL)
            os.close(reader)
            _, status = os.waitpid(child, 0)
        if waiting and not chunk:
            yield waiting.pop(0), Outcome(WRONG, f"the process has ended: status {status}")


def _fork(cases: Mapping[str, Callable[[], str]], names: list[str], megabytes: int) -> tuple[int, int]:
    """Start a process that tries cases; return where their outcomes are read, one a line, and its number."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads, which do nothing here
        child = os.fork()
    if child:
        os.close(writer)
        return reader, child
    try:
        os.close(reader)
        for name in names:
            os.write(writer, json.dumps(_try(cases[name], megabytes)).encode() + b"\n")
        signal.pause()  # a status other than SIGKILL is a crash
    finally:
        os._exit(1)


def _try(case: Callable[[], str], megabytes: int) -> Outcome:
    """Return the outcome of a case in this process."""
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    try:
        outcome = Outcome(ANSWER, case())
    except UserError as error:
        outcome = Outcome(REFUSAL, str(error))
    except BaseException as error:
        frames = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        outcome = Outcome(WRONG, f"{type(error).__name__}: {error!s:.300} @ {' '.join(frames[-5:])}")
    taken = _memory("VmHWM") - before
    return Outcome(WRONG, f"took {taken} MB, {outcome}") if taken > megabytes else outcome


def _memory(name: str) -> int:
    """Return a number of this process's memory, MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024


def is_sentence(text: str, *names: str) -> bool:
    """Return whether a refusal is one clear sentence that names what it is about."""
    one = text.strip() and len(text) < LONGEST and "\n" not in text and printable(text) == text
    return bool(one) and "Traceback" not in text and "object at 0x" not in text and all(name in text for name in names)


def flipped(content: bytes, chance: random.Random, bits: int = 1) -> bytes:
    """Return a file with bits flipped at random places."""
    data = bytearray(content)
    for _ in range(bits):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)
