"""On what a measurement was made: the machine, its load and the versions."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

PACKAGES = ("dagster", "pyspark", "pysail", "deltalake", "pyarrow", "duckdb", "polars")


def conditions(command: str, rounds: int, compared: str) -> Iterator[str]:
    """By what, when, on what and how it was measured, and with what the rows were compared."""
    memory = psutil.virtual_memory().total / 2**30
    yield f"Written by `{command}` on {datetime.now(UTC):%Y-%m-%d}. Do not edit."
    yield ""
    yield (
        f"- Machine: {len(os.sched_getaffinity(0))} cores of {_processor()}, {memory:.0f} GB, "
        f"{platform.system()} {platform.machine()}."
    )
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield f"- Versions: Python {platform.python_version()}, {_java()}, {packages}."
    yield (
        f"- Each figure is the median of {rounds} runs, all taking turns; in brackets, the least "
        "and the greatest wall clock."
        if rounds > 1
        else "- Each figure is from one run, all taking turns."
    )
    yield "- Wall clock and processor time are from command to exit, imports and start-up included."
    yield "- Memory is the most that all processes of the command had resident at one time."
    yield compared


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        for line in listed.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "an unknown processor"


def _java() -> str:
    try:
        answer = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    except OSError:
        return "no Java"
    return answer.stderr.partition("\n")[0].replace('"', "")
