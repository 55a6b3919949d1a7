"""The command line of the sample."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from stedi_assets.errors import LakehouseError
from stedi_assets.sample.files import write_sample
from stedi_assets.sample.spec import SampleSpec


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes a sample as the command line says.

    Args:
        arguments: The command line's, or None for the process's own.

    Returns:
        The exit status: 0, or 2 where the sample could not be written.
    """
    parser = argparse.ArgumentParser(prog="stedi_assets.sample", description="Writes sample data.")
    parser.add_argument(
        "--out", type=Path, default=Path("data"), help="folder to write into (default: data)"
    )
    parser.add_argument(
        "--seed", type=int, default=7, help="seed of every random choice (default: 7)"
    )
    parser.add_argument(
        "--scale", type=_scale, default=1, metavar="N", help="times 956 customers (default: 1)"
    )
    for option, meaning in (
        ("--malformed", "unreadable lines added to each file, as a fraction of its records"),
        ("--duplicates", "records written a second time, as a fraction of all"),
        ("--withdrawn", "consenting customers who withdraw later, as a fraction of them"),
    ):
        parser.add_argument(
            option, type=_fraction, default=0.0, metavar="F", help=f"{meaning} (default: 0)"
        )
    options = vars(parser.parse_args(arguments))
    out: Path = options.pop("out")
    try:
        manifest = write_sample(out, SampleSpec(**options))
    except (OSError, LakehouseError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    files = sum(source["files"] for source in manifest["sources"].values())
    print(f"{out}: {files:,} files of {manifest['rows']['customer_landing']:,} customer records")
    return 0


def _scale(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a fraction of at least 0 and below 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
