"""What `make generate` writes is as the declarations say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from docs import generate
from stedi_assets.settings import Settings
from stedi_assets.tables import TABLES, Table
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING, ACCELEROMETER_TRUSTED

Generate = Callable[[str, Sequence[Table]], str]
FILES = [(generate.policies, generate.POLICIES), (generate.readme, generate.README)]


@pytest.mark.parametrize(("written", "path"), FILES, ids=["policies", "readme"])
def test__generated__is_up_to_date(written: Generate, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert written(text, list(TABLES.values())) == text


def test__settings__are_up_to_date() -> None:
    text = generate.SETTINGS.read_text(encoding="utf-8")
    assert text.count("| `STEDI_") == len(Settings.model_fields)
    assert generate.settings(text) == text, "run make generate"


def test__commands_not_run__are_up_to_date() -> None:
    text = generate.COMMANDS.read_text(encoding="utf-8")
    assert generate.commands(text) == text, "run make generate"


def test__policies__of_another_source() -> None:
    text = generate.POLICIES.read_text(encoding="utf-8")
    watches = [replace(each, source="watch") for each in (ACCELEROMETER_LANDING,)]
    watches.append(replace(ACCELEROMETER_TRUSTED, source="watch"))

    wider = generate.policies(text, [*TABLES.values(), *watches])

    added = [line.strip() for line in wider.split("\n") if "/watch/" in line]
    count = {each: sum(each in line for line in added) for each in ("landing/", "trusted/")}
    before = {
        "landing/": text.count("/accelerometer/landing/"),
        "trusted/": text.count("/accelerometer/trusted/"),
    }
    assert count == before
    # Nothing of it reaches data scientists, whose policy names one table.
    assert [line for line in wider.split("\n") if "/watch/" not in line] == text.split("\n")
