"""The commands as `python -m stedi_assets.demo_s3 start` and `stop`."""

import sys

from rich.console import Console

from stedi_assets.demo_s3.commands import start, stop
from stedi_assets.errors import fault_ends_process

if __name__ == "__main__":
    with fault_ends_process():
        sys.exit({"start": start, "stop": stop}[sys.argv[1]](Console()))
