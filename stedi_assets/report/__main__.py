"""Writes the report of the lakehouse that the settings name: `make report`."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from stedi_assets.errors import LakehouseError, fault_ends_process


def main() -> None:
    """Writes one HTML page and says where."""
    parser = argparse.ArgumentParser(prog="python -m stedi_assets.report", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/report.html"), metavar="FILE")
    out: Path = parser.parse_args().out
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        sys.exit("DAGSTER_HOME is not set: run `make report`, or name the folder of the history.")
    from stedi_assets.orchestration import runs

    with fault_ends_process():
        from stedi_assets.definitions import defs, lakehouse
    from stedi_assets.report import page, status
    from stedi_assets.settings import Settings
    from stedi_assets.storage.local import create_privately

    tables = lakehouse(Settings.from_environment())
    try:
        with runs.history(Path(home)) as instance:
            html = page.render(status.statuses(defs, instance, tables), datetime.now(UTC))
        create_privately(out.parent)
        out.write_text(html, encoding="utf-8")
    except LakehouseError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"The report cannot be written to {out}: {error.strerror}. Name another file.")
    print(f"Written to {out}; open it in any browser.")


if __name__ == "__main__":
    main()
