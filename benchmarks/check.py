"""Compares a first load with the last release's, taking turns: `make bench-check`, `WHEEL=path`."""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.compare import BYTES_OF_SCALE, ROUNDS, compare, prepared
from benchmarks.contenders import COMPARED, PROJECT, WHOLE
from stedi_assets.sample.files import write_sample
from stedi_assets.sample.spec import SampleSpec

FIGURES = ("wall", "cpu", "memory")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures at both scales, and prints this tree's medians divided by the release's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check", description=__doc__)
    parser.add_argument("--wheel", type=Path, help="of the release; by default it is built")
    parser.add_argument("--scales", default="1,30", help="times 956 customers")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs of each")
    parser.add_argument("--work", type=Path, default=PROJECT / "build/check", metavar="FOLDER")
    options = parser.parse_args(arguments)
    scales = prepared(options.work, options.scales, lambda scales: scales[-1] * BYTES_OF_SCALE)
    try:
        wheel = options.wheel or build(last_release(), options.work)
        release = replace(WHOLE, name=wheel.stem, python=install(wheel, options.work / "release"))
        for number, scale in enumerate(scales):
            source = options.work / "source"
            rows = write_sample(source, SampleSpec(scale=scale))["rows"]
            if not number:  # files and compiled modules are cold
                compare((WHOLE, release), source, rows, 1, COMPARED)
            taken = compare((WHOLE, release), source, rows, options.rounds, COMPARED)
            shutil.rmtree(source)
            ours, theirs = (
                {name: statistics.median(getattr(one, name) for one in runs) for name in FIGURES}
                for runs in taken.values()
            )
            ratios = ", ".join(f"{name} {ours[name] / theirs[name]:.2f}" for name in FIGURES)
            print(f"scale {scale}: this tree / {release.name}: {ratios}", flush=True)
    finally:
        shutil.rmtree(options.work)


def last_release() -> str:
    """The last tag; where there is none, the last commit whose CHANGELOG begins with a release."""
    tags = _git("tag", "--merged", "HEAD", "--sort=-creatordate").split()
    if tags:
        return tags[0]
    since = ("log", "--reverse", "--format=%H", "-S## Unreleased", "--", "CHANGELOG.md")
    return f"{_git(*since).split()[0]}~1"


def build(commit: str, work: Path) -> Path:
    """Builds the wheel of a commit."""
    tree = work / "tree"
    tree.mkdir()
    archive = subprocess.run(
        ["git", "archive", commit], cwd=PROJECT, capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive.stdout, check=True)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(work), str(tree)], check=True)
    [wheel] = work.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """Installs a wheel, with the dependencies of this environment, and returns its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    [packages] = folder.glob("lib/python*/site-packages")
    # Without what this environment's own .pth files add, which is this tree.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--force-reinstall", str(wheel)], check=True)
    return python


def _git(*arguments: str) -> str:
    git = ["git", *arguments]
    return subprocess.run(git, cwd=PROJECT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
