"""Takes the pictures of docs/ from the real UI, on the sample data: `make screenshots`."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from stedi_assets_tests import ui

DOCS = Path(__file__).resolve().parent
COLORS = 64  # so that text stays sharp and each picture is under 100 kB


def views(page: Page) -> Iterator[str]:
    """Materialises the sample by the button, and opens what a newcomer looks at, one by one.

    Yields:
        The name of the picture of what is open now.
    """
    ui.open_lineage(page)
    ui.materialize_all(page)
    ui.open_graph(page)
    page.mouse.move(450, 700)  # the graph begins a little above its place
    page.mouse.down()
    page.mouse.move(450, 736, steps=4)
    page.mouse.up()
    yield "lineage"
    ui.open_asset(page, "machine_learning_curated")
    yield "asset"
    ui.show_markdown(page, "funnel")
    yield "funnel"
    ui.open_asset(page, "machine_learning_curated", "checks")
    yield "checks"


def main() -> None:
    """Takes a picture of each view."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ui.served(Path(folder)) as address,
        ui.opened(address) as page,
    ):
        for name in views(page):
            _take(page, name)


def _take(page: Page, name: str) -> None:
    page.wait_for_timeout(1500)  # until animations have ended
    page.mouse.move(0, 0)
    taken = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    path = DOCS / f"{name}.png"
    taken.quantize(COLORS).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
