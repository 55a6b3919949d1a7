"""Makes `.venv`, with uv in it, and says why one that is there cannot be used: for the Makefile.

`check [PYTHON]` prints why, or nothing; `make [REASON]` makes it. Any Python 3 can start this, so
that one which is too old for the project is told so.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

VENV = Path(".venv")
PYTHON = VENV / "bin" / "python"
# The folder that it was made in, which the scripts in it name. Written last.
PLACE = VENV / "place"
RANGE = re.compile(r'^requires-python = ">=3\.(\d+),<3\.(\d+)"', re.MULTILINE)
LEAST_FREE_BYTES = 3_000_000_000
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def supported():
    """The versions of Python that the project runs on."""
    first, end = RANGE.search(Path("pyproject.toml").read_text(encoding="utf-8")).groups()
    return [f"3.{minor}" for minor in range(int(first), int(end))]


def unusable(wanted):
    """Why the environment, whose Python runs this, cannot be used; empty if it can.

    Args:
        wanted: The Python that it should be of, as a command; empty for any that is supported.
    """
    if VERSION not in supported():
        return f"it is of Python {VERSION}"
    if not (VENV / "lib" / f"python{VERSION}").exists():
        return f"its Python has become {VERSION}"
    if not PLACE.exists() or not (VENV / "bin" / "uv").exists():
        return "make has not made it, or not to its end"
    if PLACE.read_text(encoding="utf-8") != str(Path.cwd()):
        return "its folder has moved"
    if wanted and version_of(wanted) not in ("", VERSION):
        return f"it is of Python {VERSION}, and {wanted} is {version_of(wanted)}"
    return ""


def version_of(python):
    """The version of a Python, as a command; empty if it does not run."""
    try:
        asked = subprocess.run([python, "--version"], stdout=subprocess.PIPE, check=False)
    except OSError:
        return ""
    return ".".join(asked.stdout.decode().rpartition(" ")[2].split(".")[:2])


def make(reason=""):
    """Makes the environment, anew if there is one.

    Args:
        reason: Why one that is there cannot be used.
    """
    if VERSION not in supported():
        found = [f"python{each}" for each in supported() if shutil.which(f"python{each}")]
        sys.exit(
            f"stedi_assets needs Python {supported()[0]} to {supported()[-1]}, and "
            f"{sys.executable} is {VERSION}. Name another: make PYTHON={(found or ['…'])[-1]}"
        )
    free = shutil.disk_usage(Path.cwd()).free
    if free < LEAST_FREE_BYTES:
        sys.exit(
            f"The environment needs {LEAST_FREE_BYTES / 1e9:g} GB of disk, half of it in uv's "
            f"cache, and {free / 1e9:.1f} GB are free here. Free some, then run make again."
        )
    if VENV.exists():
        print(f"The environment .venv is made anew: {reason}.", flush=True)
    print(f"Making .venv with Python {VERSION}", flush=True)
    pip = [PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", VENV],
        [*pip, "--no-deps", "--require-hashes", "--requirement", "requirements/uv.txt"],
    ):
        done = subprocess.run([*map(str, command)], check=False)
        if done.returncode:
            sys.exit(done.returncode)
    PLACE.write_text(str(Path.cwd()), encoding="utf-8")


if __name__ == "__main__":
    act, *given = sys.argv[1:]
    if act == "make":
        make(*given)
    else:
        print(unusable(*given))
