"""The files of a sample: its records in the layout of the source, and a manifest of them."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from stedi_assets.landing.fingerprint import fingerprint
from stedi_assets.sample.cohort import make_cohort
from stedi_assets.sample.recipe import Recipe
from stedi_assets.sample.rows import count_rows
from stedi_assets.tables import LANDING_TABLES, Table

NOISE = ("<html><title>502 Bad Gateway</title></html>", "sensor offline", "%PDF-1.7", "0x7f454c46")


@dataclass
class _Written:
    digests: dict[str, str] = field(default_factory=dict)
    objects: int = 0
    malformed: int = 0

    def manifest(self) -> dict[str, Any]:
        return {
            "files": len(self.digests),
            "objects": self.objects,
            "malformed": self.malformed,
            "fingerprint": fingerprint(self.digests),
        }


def write_sample(out: Path, recipe: Recipe) -> dict[str, Any]:
    """Writes the files of a sample and, once they are complete, its manifest.

    Args:
        out: The folder to write into, laid out like the source: `<source>/landing/*.json`.
        recipe: What determines the sample.

    Returns:
        The manifest: the recipe, the files of each source and the rows of each table.

    Raises:
        FileExistsError: A landing folder has JSON files of other names than the sample's.
    """
    _refuse_to_mix(out, recipe)
    for table in LANDING_TABLES:
        (out / table.location).mkdir(parents=True, exist_ok=True)
    # A manifest speaks of complete files only, so that of a sample written over goes first.
    (out / "manifest.json").unlink(missing_ok=True)
    sources = {table.source: _Written() for table in LANDING_TABLES}
    rows = Counter[str]()
    for number in range(recipe.scale):
        rows.update(_write_cohort(out, recipe, number, sources))
    manifest = asdict(recipe) | {
        "sources": {source: written.manifest() for source, written in sources.items()},
        "rows": dict(rows),
    }
    _write(out / "manifest.json", [json.dumps(manifest, indent=2)])
    return manifest


def garble(random: Random, line: str, table: Table, fault: int) -> str:
    """Makes of a record's line one that no reading, however lenient, takes for a record.

    Args:
        random: Where the choices come from.
        line: The record as a JSON object.
        table: The landing table, whose required columns the record needs.
        fault: 0 cuts the object short, 1 leaves out a required field, 2 gives one a value of the
            wrong type, 3 puts noise in place of JSON.

    Returns:
        The malformed line.
    """
    required = [column for column in table.columns if column.required]
    column = random.choice(required)
    record = json.loads(line)
    match fault:
        case 0:
            return line[: random.randint(2, line.index(f'"{required[-1].name}"'))]
        case 1:
            del record[column.name]
        case 2:
            # Not a number for a text column: a lenient reader takes its digits for the text.
            record[column.name] = None if column.type == "string" else "n/a"
        case _:
            return f"{random.choice(NOISE)} {random.getrandbits(32):08x}"
    return json.dumps(record)


def _refuse_to_mix(out: Path, recipe: Recipe) -> None:
    for table in LANDING_TABLES:
        folder = out / table.location
        found = {path.name for kind in ("*.json", "*.json.gz") for path in folder.glob(kind)}
        others = found.difference(recipe.file_names(table))
        if others:
            raise FileExistsError(
                f"{folder} has {len(others)} JSON files that are not of this sample and would be "
                f"mixed with it, such as {min(others)}: move them away or choose another folder."
            )


def _write_cohort(
    out: Path, recipe: Recipe, number: int, sources: dict[str, _Written]
) -> Counter[str]:
    cohort = make_cohort(recipe, number)
    random = recipe.random(number, "malformed")
    for table, records in cohort.lines():
        written, files = sources[table.source], recipe.files(table)
        bounds = [len(records) * index // files for index in range(files + 1)]
        for index, (first, end) in enumerate(itertools.pairwise(bounds), start=number * files):
            extra = round(recipe.malformed * (end - first))
            lines = _with_malformed(random, records[first:end], extra, table)
            name = recipe.file_name(table, index)
            written.digests[name] = _write(out / table.location / name, lines)
            written.objects += end - first
            written.malformed += extra
    return count_rows(cohort)


def _with_malformed(random: Random, records: list[str], extra: int, table: Table) -> list[str]:
    length = len(records) + extra
    malformed = dict.fromkeys(random.sample(range(length), extra), "")
    for fault, place in enumerate(malformed):
        malformed[place] = garble(random, random.choice(records), table, fault % 4)
    intact = iter(records)
    return [malformed.get(place) or next(intact) for place in range(length)]


def _write(path: Path, lines: Iterable[str]) -> str:
    content = "".join(f"{line}\n" for line in lines).encode()
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_bytes(content)
    unfinished.replace(path)
    return hashlib.sha256(content).hexdigest()
