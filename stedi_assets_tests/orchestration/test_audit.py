"""The audit finds whatever differs from what landing makes, and has the next run make it anew."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from stedi_assets.definitions import define
from stedi_assets.errors import Code
from stedi_assets.lakehouse import delta, trust
from stedi_assets.orchestration import failures
from stedi_assets.settings import Settings
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, TABLES, Table, records_of
from stedi_assets.tables.accelerometer import ACCELEROMETER_TRUSTED
from stedi_assets.tables.customer import CUSTOMER_LANDING, CUSTOMER_TRUSTED
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets_tests import leaks
from stedi_assets_tests.checks.conftest import GOOD, LATER, land
from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.orchestration.conftest import materialize, observed
from stedi_assets_tests.rows import NOON, PSEUDONYMS, stored_rows

pytestmark = pytest.mark.slow

NAMES = [table.name for table in (*LANDING_TABLES, *DELTA_TABLES)]
LATER_MINUTE = "2023-11-14 23:13 to 2023-11-14 23:14 UTC"
SAMPLE = PROJECT / "data"
STRICT = {"after_consent_only": True, "match_device": True, "pseudonymise_devices": True}


def defined(lakehouse: Path, source: Path | str = "") -> dg.Definitions:
    return define(
        Settings(
            lakehouse_uri=str(lakehouse), source_data=str(source), pseudonym_key=PSEUDONYMS.key
        )
    )


def audit(defs: dg.Definitions, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Runs the job, as the schedule does."""
    return defs.resolve_job_def("audit_lakehouse").execute_in_process(
        instance=instance, raise_on_error=False
    )


def differing(result: dg.ExecuteInProcessResult) -> dict[str, tuple[int, int, str]]:
    """Table to its missing and extra rows and their ranges, of those that differ."""
    return {
        name: (shown["rows_missing"], shown["rows_extra"], shown.get("ranges", ""))
        for name, shown in observed(result).items()
        if shown.get("rows_missing") or shown.get("rows_extra")
    }


def said(result: dg.ExecuteInProcessResult, code: Code = Code.TABLE_DIFFERS) -> str:
    """What the failed step says."""
    [failed] = [event for event in result.all_events if event.is_step_failure]
    assert failures.code_of(failed.step_failure_data) is code
    return failures.shown_of(failed.step_failure_data)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source and the lakehouse of it, materialised once."""
    folder = tmp_path_factory.mktemp("made")
    for table in LANDING_TABLES:
        land(folder / "source", table, GOOD[table.name])
    with dg.DagsterInstance.ephemeral() as instance:
        defs = defined(folder / "lakehouse", folder / "source")
        options = {"machine_learning_curated": STRICT}
        assert materialize(defs, instance, *TABLES, **options).success
    return folder


@pytest.fixture
def lakehouse(made: Path, tmp_path: Path) -> Path:
    """A copy of that lakehouse."""
    return Path(shutil.copytree(made / "lakehouse", tmp_path / "lakehouse"))


@pytest.fixture
def defs(lakehouse: Path) -> dg.Definitions:
    """The project on that copy."""
    return defined(lakehouse)


def place(lakehouse: Path, table: Table) -> str:
    return str(lakehouse / table.location)


def overwrite(lakehouse: Path, table: Table, rows: pa.Table) -> None:
    """A foreign commit of other rows."""
    write_deltalake(place(lakehouse, table), rows, mode="overwrite", schema_mode="overwrite")


def swap(lakehouse: Path, table: Table, change: Callable[[pa.Table], pa.Table]) -> None:
    """Other rows in the table's files, without a commit."""
    for uri in DeltaTable(place(lakehouse, table)).file_uris():
        pq.write_table(change(pq.read_table(uri)), uri)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def moved(rows: pa.Table) -> pa.Table:
    """Readings of the later time, moved."""
    x = pc.if_else(pc.equal(rows["timestamp"], LATER), 5.0, rows["x"])
    return rows.set_column(rows.column_names.index("x"), rows.schema.field("x"), x)


@pytest.mark.parametrize("options", [{}, STRICT], ids=["no option", "all"])
def test__audit__fresh_lakehouse(
    tmp_path: Path, instance: dg.DagsterInstance, options: dict[str, bool]
) -> None:
    defs = defined(tmp_path / "lakehouse", SAMPLE)
    run = materialize(defs, instance, *TABLES, machine_learning_curated=options)
    assert run.success

    before = contents(tmp_path / "lakehouse")

    result = audit(defs, instance)

    assert result.success
    assert differing(result) == {}
    stored = {table.name: table for table in DELTA_TABLES}
    stored |= {table.name: records_of(table) for table in LANDING_TABLES}
    rows = {
        name: stored_rows(place(tmp_path / "lakehouse", table)).num_rows
        for name, table in stored.items()
    }
    assert {name: shown["rows"] for name, shown in observed(result).items()} == rows
    assert contents(tmp_path / "lakehouse") == before


@pytest.mark.parametrize("options", [{}, STRICT], ids=["no option", "all"])
def test__audit__reference_data(
    tmp_path: Path,
    reference_data: Path,
    instance: dg.DagsterInstance,
    options: dict[str, bool],
) -> None:
    defs = defined(tmp_path / "lakehouse", reference_data)
    assert materialize(defs, instance, *TABLES, machine_learning_curated=options).success

    result = audit(defs, instance)

    assert result.success
    assert differing(result) == {}
    assert {shown["rows"] for shown in observed(result).values()} >= {482, 40_981, 14_460}


def test__audit__foreign_commit(
    lakehouse: Path, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    overwrite(
        lakehouse,
        ACCELEROMETER_TRUSTED,
        moved(stored_rows(place(lakehouse, ACCELEROMETER_TRUSTED))),
    )

    result = audit(defs, instance)

    assert differing(result) == {"accelerometer_trusted": (1, 1, LATER_MINUTE)}
    message = said(result)
    assert "accelerometer_trusted" in message
    assert LATER_MINUTE in message
    assert list(observed(result)) == NAMES


def test__audit__files_changed_without_a_commit(
    lakehouse: Path, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    """Two tables, of which each is named; their row counts stay."""
    state = delta.state(f"file://{place(lakehouse, ACCELEROMETER_TRUSTED)}")
    swap(lakehouse, ACCELEROMETER_TRUSTED, moved)
    swap(lakehouse, MACHINE_LEARNING_CURATED, moved)
    assert delta.state(f"file://{place(lakehouse, ACCELEROMETER_TRUSTED)}") == state

    result = audit(defs, instance)

    changed = (1, 1, LATER_MINUTE)
    assert differing(result) == {
        "accelerometer_trusted": changed,
        "machine_learning_curated": changed,
    }
    assert all(name in said(result) for name in differing(result))


def doubled(rows: pa.Table) -> pa.Table:
    return pa.concat_tables([rows, rows])


def test__audit__duplicates_count(
    lakehouse: Path, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    overwrite(lakehouse, CUSTOMER_TRUSTED, doubled(stored_rows(place(lakehouse, CUSTOMER_TRUSTED))))

    result = audit(defs, instance)

    assert differing(result) == {"customer_trusted": (0, 2, "")}


def test__audit__other_columns(
    lakehouse: Path, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    rows = stored_rows(place(lakehouse, CUSTOMER_TRUSTED))
    overwrite(lakehouse, CUSTOMER_TRUSTED, rows.drop_columns(["phone"]))

    assert differing(audit(defs, instance)) == {"customer_trusted": (2, 2, "")}


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, Code.TABLE_DIFFERS), (b"PAR1 and no more", Code.DATA_FILE_DAMAGED)],
    ids=["gone", "damaged"],
)
def test__audit__data_file_cannot_be_read(
    lakehouse: Path,
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    content: bytes | None,
    code: Code,
) -> None:
    uri = place(lakehouse, ACCELEROMETER_TRUSTED)
    before = DeltaTable(uri).version()
    for name in DeltaTable(uri).file_uris():
        Path(name).unlink() if content is None else Path(name).write_bytes(content)

    result = audit(defs, instance)

    assert "accelerometer" in said(result, code)
    assert list(observed(result)) == NAMES
    assert DeltaTable(uri).version() == before + 1  # which has the next run make it anew


def test__audit__next_run_makes_it_anew(
    lakehouse: Path, made: Path, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    uri = f"file://{place(lakehouse, ACCELEROMETER_TRUSTED)}"
    before = delta.state(uri)
    swap(lakehouse, ACCELEROMETER_TRUSTED, moved)
    assert not audit(defs, instance).success

    after = delta.state(uri)
    assert before is not None and after is not None
    assert after.version == before.version + 1
    assert after.commit == before.commit.without_provenance()
    assert not audit(defs, instance).success  # until a run has made it

    project = defined(lakehouse, made / "source")
    options = {"machine_learning_curated": STRICT}
    assert materialize(project, instance, *TABLES, **options).success
    assert audit(defs, instance).success


def test__audit__landing_has_changed_since(
    lakehouse: Path, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    """What has not been taken in yet is no fault of the tables, damaged or not."""
    swap(lakehouse, ACCELEROMETER_TRUSTED, moved)
    land(lakehouse / "new", CUSTOMER_LANDING, GOOD["customer_landing"][:1])
    shutil.move(
        lakehouse / "new" / CUSTOMER_LANDING.location / "customer.json",
        lakehouse / CUSTOMER_LANDING.location / "more.json",
    )

    result = audit(defs, instance)

    assert result.success
    assert {name for name, shown in observed(result).items() if "left_out" in shown} == {
        "customer_landing",
        *(table.name for table in DELTA_TABLES),
    }


def test__audit__table_that_was_not_made_since(
    lakehouse: Path, made: Path, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    """A run took in what is new and stopped there."""
    rows = [(*GOOD["customer_landing"][0][:7], None, None, None)]  # Ann withdraws
    withdrawn = [(*rows[0][:6], NOON, *rows[0][7:])]
    land(made / "later", CUSTOMER_LANDING, withdrawn)
    shutil.move(
        made / "later" / CUSTOMER_LANDING.location / "customer.json",
        lakehouse / CUSTOMER_LANDING.location / "later.json",
    )
    names = ("customer_landing", "customer_quarantine", "customer_trusted")
    assert materialize(defs, instance, *names).success

    result = audit(defs, instance)

    assert result.success
    left_out = {name for name, shown in observed(result).items() if "left_out" in shown}
    assert left_out == {table.name for table in DELTA_TABLES} - {"customer_trusted"}


def test__audit__empty_lakehouse(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    result = audit(defined(tmp_path / "lakehouse"), instance)

    assert result.success
    assert {tuple(shown) for shown in observed(result).values()} == {("left_out",)}


def test__audit__no_personal_data(lakehouse: Path, tmp_path: Path) -> None:
    def named(rows: pa.Table) -> pa.Table:
        names = pa.array(["Mallory Moss"] * rows.num_rows)
        return rows.set_column(0, rows.schema.field(0), names)

    swap(lakehouse, CUSTOMER_TRUSTED, named)
    swap(lakehouse, ACCELEROMETER_TRUSTED, moved)
    kept = tmp_path / "kept"
    kept.mkdir()
    with dg.DagsterInstance.local_temp(str(kept)) as instance:
        result = audit(defined(lakehouse), instance)
        (kept / "said").write_text(said(result) + json.dumps(observed(result)))

    people = {str(value) for row in GOOD["customer_landing"] for value in row[:4]}
    assert leaks.told(kept, {*people, "Mallory Moss"}) == []


def test__forget__twice(lakehouse: Path) -> None:
    uri = f"file://{place(lakehouse, CUSTOMER_TRUSTED)}"
    trust.require_rebuild(uri)
    once = delta.state(uri)
    trust.require_rebuild(uri)
    twice = delta.state(uri)
    assert once is not None and twice is not None
    assert (twice.rows, twice.commit) == (once.rows, once.commit)
