"""What a command takes: time, processor and memory, of its whole tree of processes."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

SAMPLED_EVERY_SECONDS = 0.1


@dataclass(frozen=True)
class Taken:
    """What one run of a command took.

    Attributes:
        wall: Seconds from command to exit.
        cpu: Processor seconds, of the command and all that it started.
        memory: The most bytes that they had resident at one time, in samples of ten a second. A
            page that two of them share counts twice.
        said: What it printed.
        cpu_at: Moments (seconds of the epoch) and the processor seconds until then, in samples.
        checks: Its processor seconds of steps that only check; None where it has none.
    """

    wall: float
    cpu: float
    memory: int
    said: str = ""
    cpu_at: tuple[tuple[float, float], ...] = ()
    checks: float | None = None

    def cpu_between(self, begin: float, end: float) -> float:
        """The processor seconds between two moments (seconds of the epoch)."""
        times, seconds = zip(*self.cpu_at, strict=True)
        before, after = np.interp((begin, end), times, seconds)
        return float(after - before)

    def __str__(self) -> str:
        return f"{self.wall:8.2f} s  {self.cpu:8.2f} CPU s  {self.memory / 1e9:6.2f} GB"


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Taken:
    """Runs a command to its end.

    Args:
        command: The command.
        environment: Its environment.
        folder: Where it runs.

    Raises:
        RuntimeError: If it fails; the message ends with what it said last.
    """
    seconds: dict[psutil.Process, float] = {}
    memory = 0
    cpu_at = [(time.time(), 0.0)]
    waited_for = _waited_for()
    with tempfile.TemporaryFile("w+") as said:
        began = time.perf_counter()
        with psutil.Popen(
            command, env=environment, cwd=folder, stdout=said, stderr=subprocess.STDOUT
        ) as process:
            while process.poll() is None:
                memory = max(memory, _look(process, seconds))
                cpu_at.append((time.time(), sum(seconds.values())))
                time.sleep(SAMPLED_EVERY_SECONDS)
        wall = time.perf_counter() - began
        said.seek(0)
        printed = said.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{printed[-2000:]}")
    # Samples miss the last tenth of a second; the system misses children that nobody waited for.
    cpu = max(_waited_for() - waited_for, sum(seconds.values()))
    return Taken(wall, cpu, memory, printed, tuple(cpu_at))


def _look(process: psutil.Process, seconds: dict[psutil.Process, float]) -> int:
    memory = 0
    with contextlib.suppress(psutil.Error):
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error), each.oneshot():
                seconds[each] = sum(each.cpu_times()[:2])
                memory += each.memory_info().rss
    return memory


def _waited_for() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
