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

from stedi_assets.errors import LakehouseError
from stedi_assets.landing.fingerprint import fingerprint
from stedi_assets.sample.cohort import Cohort, make_cohort
from stedi_assets.sample.recipes import RECIPES
from stedi_assets.sample.spec import SampleSpec
from stedi_assets.tables import LANDING_TABLES, TABLES, Table

LINES_OF_FILE = 10_000
LEAST_FILES = 2
NOISE = ("<html><title>502 Bad Gateway</title></html>", "sensor offline", "%PDF-1.7", "0x7f454c46")


@dataclass
class _Source:
    """The files of a landing table, as far as they are written."""

    table: Table
    folder: Path
    files_of_cohort: int = 0
    digests: dict[str, str] = field(default_factory=dict)
    objects: int = 0
    malformed: int = 0

    def require_no_other_files(self, spec: SampleSpec) -> None:
        found = {path.name for kind in ("*.json", "*.json.gz") for path in self.folder.glob(kind)}
        others = found.difference(map(self.name, range(self.files_of_cohort * spec.scale)))
        if others:
            raise FileExistsError(
                f"{self.folder} has {len(others)} JSON files that are not of this sample and would "
                f"be mixed with it, such as {min(others)}: move them away or choose another folder."
            )

    def name(self, index: int) -> str:
        return f"{self.table.source}-{index:06d}.json"

    def write(self, cohort: Cohort, records: list[str], random: Random) -> None:
        files = self.files_of_cohort
        bounds = [len(records) * index // files for index in range(files + 1)]
        for index, (first, end) in enumerate(itertools.pairwise(bounds), cohort.number * files):
            extra = round(cohort.spec.malformed * (end - first))
            lines = _with_malformed(random, records[first:end], extra, self.table)
            name = self.name(index)
            self.digests[name] = _write(self.folder / name, lines)
            self.objects += end - first
            self.malformed += extra

    def manifest(self) -> dict[str, Any]:
        return {
            "files": len(self.digests),
            "objects": self.objects,
            "malformed": self.malformed,
            "fingerprint": fingerprint(self.digests),
        }


def write_sample(out: Path, spec: SampleSpec) -> dict[str, Any]:
    """Writes the files of a sample and, once they are complete, its manifest.

    Args:
        out: The folder to write into, laid out like the source: `<source>/landing/*.json`.
        spec: What determines the sample.

    Returns:
        The manifest: the spec, the files of each source and the rows of each table.

    Raises:
        FileExistsError: If a landing folder has JSON files of other names than the sample's.
        LakehouseError: If a landing table has no recipe.
    """
    sources = [_Source(table, out / table.location) for table in LANDING_TABLES]
    rows = Counter[str]()
    for number in range(spec.scale):
        cohort = make_cohort(spec, number)
        duplicating, garbling = cohort.random("duplicates"), cohort.random("malformed")
        records = [_records(source.table, cohort, duplicating) for source in sources]
        if number == 0:
            for source, lines in zip(sources, records, strict=True):
                most = int(LINES_OF_FILE / (1 + spec.malformed))
                source.files_of_cohort = max(LEAST_FILES, -(-len(lines) // most))
                source.require_no_other_files(spec)
            for source in sources:
                source.folder.mkdir(parents=True, exist_ok=True)
            # A manifest describes complete files only, so that of an earlier sample goes first.
            (out / "manifest.json").unlink(missing_ok=True)
        for source, lines in zip(sources, records, strict=True):
            source.write(cohort, lines, garbling)
            rows[source.table.name] += len(lines)
        for recipe in RECIPES.values():
            rows.update(recipe.rows(cohort))
    order = list(TABLES)
    manifest = asdict(spec) | {
        "sources": {source.table.source: source.manifest() for source in sources},
        "rows": dict(sorted(rows.items(), key=lambda row: order.index(row[0].partition("+")[0]))),
    }
    _write(out / "manifest.json", [json.dumps(manifest, indent=2)])
    return manifest


def _records(table: Table, cohort: Cohort, random: Random) -> list[str]:
    """The records of a landing table in a cohort, the duplicates last."""
    recipe = RECIPES.get(table.source)
    if recipe is None or recipe.lines is None:
        raise LakehouseError(
            f"The sample has no records for {table.name}. Add their recipe as "
            f"stedi_assets/sample/recipes/{table.source}.py."
        )
    lines = recipe.lines(cohort)
    return lines + random.sample(lines, round(cohort.spec.duplicates * len(lines)))


def _with_malformed(random: Random, records: list[str], extra: int, table: Table) -> list[str]:
    length = len(records) + extra
    malformed = dict.fromkeys(random.sample(range(length), extra), "")
    for fault, place in enumerate(malformed):
        malformed[place] = _garble(random, random.choice(records), table, fault % 4)
    intact = iter(records)
    return [malformed.get(place) or next(intact) for place in range(length)]


def _garble(random: Random, line: str, table: Table, fault: int) -> str:
    """Makes a record's line one that no reader, however lenient, takes for a record.

    Args:
        random: The source of the choices.
        line: The record as a JSON object.
        table: The landing table, whose required columns the record needs.
        fault: 0 cuts the object short, 1 leaves out a required field, 2 gives one a value of the
            wrong type, 3 puts noise in place of JSON.
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


def _write(path: Path, lines: Iterable[str]) -> str:
    content = "".join(f"{line}\n" for line in lines).encode()
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_bytes(content)
    unfinished.replace(path)
    return hashlib.sha256(content).hexdigest()
