"""Files that land, time that passes and runs that may die, against the model of every table."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import dagster as dg
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    precondition,
    rule,
)
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from stedi_assets.lakehouse import delta, writer
from stedi_assets.orchestration import clock
from stedi_assets.tables import (
    DELTA_TABLES,
    LANDING_TABLES,
    QUARANTINE_TABLES,
    TABLES,
    Table,
    records_of,
)
from stedi_assets_tests import strategies
from stedi_assets_tests.damages import DAMAGES
from stedi_assets_tests.incremental import Checked, copy_landing, figures_of, rows_of
from stedi_assets_tests.model import OPTIONS, Landed, Options, Rows, modelled, told
from stedi_assets_tests.rows import NOON, customer, device_reading, phone_reading
from stedi_assets_tests.strategies import DAY, NOW

CUSTOMERS, PHONES, DEVICES = LANDING_TABLES
RECORDS = {
    CUSTOMERS.name: strategies.customers,
    PHONES.name: strategies.phone_readings,
    DEVICES.name: strategies.device_readings,
}
# Text that is no record, and why.
MALFORMED = {
    CUSTOMERS.name: [
        (
            '{"email":"ann@example.com","shareWithResearchAsOfDate":"yes"}',
            "shareWithResearchAsOfDate is not of type bigint",
        ),
        ('{"email":{"of":"ann@example.com"}}', "email is not of type string"),
    ],
    PHONES.name: [
        ('{"user":"ann@example.com","timestamp":17000', "not a JSON object"),
        ('{"user":"ann@example.com","timestamp":1,"x":NaN,"y":0,"z":0}', "not a JSON object"),
    ],
    DEVICES.name: [
        (
            '{"sensorReadingTime":1,"serialNumber":"device-1","distanceFromObject":99999999999}',
            "distanceFromObject is not of type int",
        ),
        ("\ufffd", "not UTF-8"),
    ],
}

# Makes every table of a lakehouse, of the files of a source and with these options.
Run = Callable[[Path, Path, Options], Iterable[Checked]]


class File(NamedTuple):
    """Records of a landing table, and text that is none on the line of the last one."""

    table: str
    rows: Rows
    malformed: tuple[str, str] | None = None


def _files(table: str, least: int, most: int) -> st.SearchStrategy[File]:
    rows = st.lists(RECORDS[table], min_size=least, max_size=most)
    return st.builds(File, st.just(table), rows, st.none())


class Killed(KeyboardInterrupt):
    """Ends a run at once, as a kill does."""


class LakehouseMachine(RuleBasedStateMachine):
    """A source, the lakehouse that is made of it, and what must be in that.

    Args:
        folder: Where to keep both.
        run: Makes the tables.
    """

    files = Bundle("files")
    # Mostly the same, since others make the training table anew.
    options = st.sampled_from(OPTIONS[:1] * 6 + OPTIONS)
    then = st.sampled_from([None, *OPTIONS[:1] * 3])

    def __init__(self, folder: Path, run: Run) -> None:
        super().__init__()
        self.folder = folder = Path(tempfile.mkdtemp(dir=folder))
        self.source, self.lakehouse, self.run = folder / "source", folder / "lakehouse", run
        self.now = NOW
        self.numbers = itertools.count()
        # By path below the source: every version that a file has had, and what it says now.
        self.versions: dict[str, dict[bytes, File]] = {}
        self.says: dict[str, bytes] = {}
        self.has_landed, self.is_due = False, True
        self.made: dict[str, Counter] = {}

    def teardown(self) -> None:
        """Readings of a new day, at last, are all that is made anew."""
        self.run_ends((True, False))
        new_day = NOON - 20 * DAY
        self._land(File(PHONES.name, [phone_reading("bob@example.com", new_day)]))
        self._land(File(DEVICES.name, [device_reading("device-1", new_day)]))
        self.run_ends((True, False))

    @initialize(
        target=files, first=st.tuples(*[_files(table, 6, 18) for table in RECORDS]), then=then
    )
    def every_source_lands(self, first: tuple[File, ...], then: Options | None) -> Any:
        landed = [self._land(file) for file in first]
        self._then(then)
        return multiple(*landed)

    @rule(target=files, file=st.one_of([_files(table, 1, 8) for table in RECORDS]))
    def file_lands(self, file: File) -> File:
        return self._land(file)

    @rule(
        target=files,
        file=st.one_of([_files(table.name, 1, 4) for table in (PHONES, DEVICES)]),
        day=st.integers(3, 12),
        then=then,
    )
    def day_lands(self, file: File, day: int, then: Options | None) -> File:
        """Late, or of a day without any."""
        table, time = TABLES[file.table], NOON - day * DAY
        columns = table.column_names
        rows = [
            tuple(time if n == table.time_column else v for n, v in zip(columns, row, strict=True))
            for row in file.rows
        ]
        landed = self._land(File(file.table, rows))
        self._then(then)
        return landed

    @rule(
        target=files,
        email=strategies.emails,
        device=st.none() | strategies.devices,
        days=st.sampled_from([None, 0, 1]),
        then=then,
    )
    def person_speaks(
        self, email: str, device: str | None, days: int | None, then: Options | None
    ) -> File:
        """Withdraws consent, gives it (again), or gives it as of tomorrow."""
        consents = None if days is None else self.now + days * DAY
        said = customer(email, device, consents, updated=self.now)
        landed = self._land(File(CUSTOMERS.name, [said]))
        self._then(then)
        return landed

    @rule(target=files, file=files)
    def records_land_again(self, file: File) -> File:
        return self._land(file)

    @rule(
        target=files,
        file=st.one_of([_files(table, 0, 8) for table in RECORDS]),
        number=st.integers(0, 9),
    )
    def file_is_replaced(self, file: File, number: int) -> File:
        return self._land(file, self._one_of(file.table, number))

    @rule(table=st.sampled_from(list(RECORDS)), number=st.integers(0, 9), once=st.integers(0, 9))
    def file_is_as_it_was(self, table: str, number: int, once: int) -> None:
        path = self._one_of(table, number)
        versions = list(self.versions[path])
        self._say(path, versions[once % len(versions)])

    @precondition(lambda self: self.has_landed)
    @rule(table=st.sampled_from(list(RECORDS)), number=st.integers(0, 9))
    def file_goes(self, table: str, number: int) -> None:
        """What has landed of it stays, and is current."""
        (self.source / self._one_of(table, number)).unlink(missing_ok=True)

    @precondition(lambda self: self.has_landed)
    @rule(table=st.sampled_from(list(RECORDS)), number=st.integers(0, 9), all_of_it=st.booleans())
    def landed_file_goes(self, table: str, number: int, all_of_it: bool) -> None:
        """All versions of a file are taken from landing, or those that its source has replaced."""
        path = self._one_of(table, number)
        landed = self._landed_as(path)
        if not all_of_it:
            landed = [each for each in landed if each.read_bytes() != self.says[path]]
        elif len(self._files(TABLES[table])) > 1:
            del self.says[path], self.versions[path]
            (self.source / path).unlink(missing_ok=True)
        else:
            return
        for each in landed:
            each.unlink()
        self.is_due |= bool(landed)

    @precondition(lambda self: self.made)
    @rule(
        table=st.sampled_from([*map(records_of, LANDING_TABLES), *DELTA_TABLES]),
        damage=st.sampled_from(list(DAMAGES)),
    )
    def another_changes_a_table(self, table: Table, damage: str) -> None:
        """Or what is kept beside it; the next run makes anew what it does not know."""
        if (self.lakehouse / table.location).exists():
            DAMAGES[damage](str(self.lakehouse / table.location))
            self.made, self.is_due = rows_of(self.lakehouse), True

    @rule(target=files, file=files, kind=st.sampled_from([0, 1]))
    def malformed_text_lands(self, file: File, kind: int) -> File:
        return self._land(File(file.table, file.rows[-1:], MALFORMED[file.table][kind]))

    @rule(days=st.sampled_from([1, -1]))
    def time_passes(self, days: int) -> None:
        self.now += days * DAY
        self.is_due = True

    @precondition(lambda self: self.is_due)
    @rule(options=options)
    def run_ends(self, options: Options) -> None:
        """The tables are those of the model and of a rebuild, and the checks tell what they do."""
        now = self.now
        with self._clock():
            checks = list(self.run(self.source, self.lakehouse, options))

        self.has_landed, self.is_due = True, False
        self.made = self._modelled(now, options)
        assert rows_of(self.lakehouse) == self.made
        malformed = {
            f"{table.source}_landing/malformed_share": self.made[table.name].total()
            for table in QUARANTINE_TABLES
            if self.made[table.name]
        }
        failed = {f"{table}/{check.check_name}": _fault(check) for table, check in checks}
        failed = {name: fault for name, fault in failed.items() if fault}
        assert failed == told(self._landed, now, options) | malformed
        self._is_as_rebuilt(checks, now, options)

    @rule(
        options=options,
        at=st.sampled_from([*map(records_of, LANDING_TABLES), *QUARANTINE_TABLES, *DELTA_TABLES]),
        moment=st.sampled_from(["before", "within", "after"]),
    )
    def run_dies(self, options: Options, at: Table, moment: str) -> None:
        """Each table is at its last good version: what this run wrote whole, or what it was."""
        now, written, self.is_due = self.now, set[str](), True
        with self._clock(), dying(at, moment, written), contextlib.suppress(Killed):
            list(self.run(self.source, self.lakehouse, options))

        modelled = self._modelled(now, options)
        self.made |= {name: modelled[name] for name in written & modelled.keys()}
        assert rows_of(self.lakehouse) == self.made

    def _is_as_rebuilt(self, checks: list[Checked], now: int, options: Options) -> None:
        """The tables and all figures of their checks are those that what has landed gives alone."""
        empty, other = self.folder / "empty", self.folder / f"rebuilt-{next(self.numbers)}"
        empty.mkdir(exist_ok=True)
        copy_landing(self.lakehouse, other)
        self.now, later = now, self.now
        with self._clock():
            rebuilt = list(self.run(empty, other, options))
        self.now = later
        assert rows_of(other) == self.made
        assert figures_of(checks) == figures_of(rebuilt)
        shutil.rmtree(other)

    def _then(self, options: Options | None) -> None:
        if options is not None:
            self.run_ends(options)

    def _land(self, file: File, path: str = "") -> File:
        table, rows = TABLES[file.table], file.rows
        lines = [dict(zip(table.column_names, row, strict=True)) for row in rows]
        text = "\n".join(
            json.dumps({name: value for name, value in line.items() if value is not None})
            for line in lines
        )
        text += file.malformed[0] if file.malformed else ""
        content = text.encode().replace("\ufffd".encode(), b"\xff")
        path = path or f"{table.location}/{next(self.numbers):03}.json"
        self.versions.setdefault(path, {})[content] = file
        self._say(path, content)
        return file

    def _say(self, path: str, content: bytes) -> None:
        self.has_landed, self.is_due = False, True
        self.says[path] = content
        (self.source / path).parent.mkdir(parents=True, exist_ok=True)
        (self.source / path).write_bytes(content)

    def _one_of(self, table: str, number: int) -> str:
        """The path of a file that a source has, or had."""
        paths = [path for path in self.says if path.startswith(TABLES[table].location)]
        return paths[number % len(paths)]

    @contextlib.contextmanager
    def _clock(self) -> Iterator[None]:
        """Has a run see the time, which goes on as it looks."""

        def time_ns() -> int:
            self.now += 1
            return (self.now - 1) * 1_000_000

        time = SimpleNamespace(time_ns=time_ns)
        with mock.patch.object(clock, "time", time):
            yield

    @property
    def _landed(self) -> Landed:
        customers, phones, devices = (
            [row for file in self._files(table) for row in file.rows] for table in LANDING_TABLES
        )
        replaced = []
        for path, versions in self.versions.items():
            if not path.startswith(CUSTOMERS.location):
                continue
            once = {found.read_bytes() for found in self._landed_as(path)} - {self.says[path]}
            said = [row for content in once for row in versions[content].rows]
            replaced.append((said, versions[self.says[path]].rows))
        return Landed(customers, phones, devices, replaced)

    def _landed_as(self, path: str) -> list[Path]:
        """The files in landing that are versions of a source file."""
        return list((self.lakehouse / path).parent.glob(f"{Path(path).stem}*.json"))

    def _files(self, table: Table) -> list[File]:
        """What the files of a source say now, as far as they are there or have landed."""
        return [
            self.versions[path][content]
            for path, content in self.says.items()
            if path.startswith(table.location)
        ]

    def _modelled(self, now: int, options: Options) -> dict[str, Counter]:
        made = modelled(self._landed, now)
        training = made.machine_learning_curated[options]
        malformed = {
            quarantine.name: Counter(f.malformed for f in self._files(table) if f.malformed)
            for table, quarantine in zip(LANDING_TABLES, QUARANTINE_TABLES, strict=True)
        }
        return made._asdict() | {"machine_learning_curated": training} | malformed


def _fault(check: dg.AssetCheckResult | dg.AssetCheckEvaluation) -> Any:
    """How much is at fault by a check's own figures, or what it says if it has none; or nothing."""
    names = ("rows_at_fault", "malformed", "implausible")
    figures = [check.metadata.get(name) for name in names]
    found = next((figure.value for figure in figures if figure), None)
    return found or (None if check.passed else check.description)


def _failing(rows: Any, table: Table) -> Any:
    """The rows, after which the writer fails."""
    if callable(rows):

        def batches() -> Iterator[Any]:
            yield from rows()
            raise Killed

        return batches
    fails = F.raise_error(F.lit("killed"))
    last = rows.sparkSession.range(1).select(
        *[fails.cast(column.type).alias(column.name) for column in table.columns]
    )
    return rows.unionByName(last)


@contextlib.contextmanager
def dying(at: Table, moment: str, written: set[str]) -> Iterator[None]:
    """Kills a run before it writes a table, while it writes the rows, or as soon as it has."""
    stored = [*TABLES.values(), *map(records_of, LANDING_TABLES)]
    names = {table.location: table.name for table in stored}

    def dies(name: str) -> Callable[..., delta.TableState]:
        write = getattr(writer, name)

        def written_by(uri: str, *of: Any) -> delta.TableState:
            is_it = uri.endswith(f"/{at.location}")
            if is_it and moment == "within" and name != "note" and of[1] is not None:
                table, rows, *others = of
                with contextlib.suppress(PySparkException, Killed):
                    write(uri, table, _failing(rows, table), *others)
            if is_it and moment != "after":
                raise Killed
            state = write(uri, *of)
            written.add(names["/".join(uri.rsplit("/", 2)[1:])])
            if is_it:
                raise Killed
            return state

        return written_by

    with contextlib.ExitStack() as until_the_end:
        for name in ("overwrite", "update", "note"):
            until_the_end.enter_context(mock.patch.object(writer, name, dies(name)))
        yield
