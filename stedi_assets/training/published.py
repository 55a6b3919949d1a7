"""Published versions of the training set stay, until a person in one of them leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from stedi_assets import storage
from stedi_assets.lakehouse import delta
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.policy import Options
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import TABLES, Table, checks, recount, subjects
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets.tables.machine_learning import TRAINING_SET
from stedi_assets.tables.schema import Through
from stedi_assets.training import manifest as manifests
from stedi_assets.training.manifest import Manifest, Reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def remaining(uri: str) -> list[Manifest]:
    """The published versions that are not erased, the oldest first.

    Args:
        uri: Where the training set is.
    """
    return [each for each in manifests.published(uri) if each.erased_at is None]


def spared(uri: str) -> frozenset[str]:
    """The names of the data files that published versions need."""
    return frozenset(file.name for each in remaining(uri) for file in each.files)


def to_erase(lakehouse: Lakehouse, people: DataFrame) -> Mapping[Reason, list[Manifest]]:
    """The published versions that hold a reading of someone else than some people, or lack a file.

    A phone's reading is a person's, whatever the version shows of the device beside it.

    Args:
        lakehouse: Where the training set is.
        people: A column `email` of the people who consent and stay.
    """
    uri = lakehouse.uri_of(TRAINING_SET)
    found = remaining(uri)
    if not found:
        return {}
    with storage_faults(uri):
        there = {file.name for file in storage.open_folder(uri).files()}
        whole = [each for each in found if there.issuperset(file.name for file in each.files)]
        phones = tuple(each for each in TRAINING_SET.subjects if isinstance(each, Through))
        known = subjects.known(
            replace(TRAINING_SET, subjects=phones),
            people,
            people,
            TABLES.__getitem__,
            lambda name: lakehouse.scan(TABLES[name]),
        )

        def left(versions: Sequence[Manifest]) -> bool:
            names = {file.name for each in versions for file in each.files}
            if not names:
                return False
            reader = lakehouse.spark_session.read.schema(TRAINING_SET.ddl)
            rows = reader.parquet(*(f"{uri}/{name}" for name in sorted(names)))
            return bool(checks.at_fault(rows, among=known).collect()[0][0])

        # Where nobody has left, one look at all of them says so.
        theirs = [each for each in whole if left([each])] if left(whole) else []
    incomplete = [each for each in found if each not in whole]
    return {Reason.LEFT: theirs, Reason.INCOMPLETE: incomplete} if theirs or incomplete else {}


def erase_left(lakehouse: Lakehouse, now: int) -> None:
    """Erases the published versions that hold a reading of someone who does not consent.

    Args:
        lakehouse: Where the training set is.
        now: The time by which to judge consent (epoch milliseconds, UTC).
    """
    uri = lakehouse.uri_of(TRAINING_SET)
    if remaining(uri):
        people = recount.people(lakehouse.scan(CUSTOMER_LANDING), now).where("agrees")
        for reason, versions in to_erase(lakehouse, people.select("email")).items():
            erase(uri, versions, now, reason)


def erase_weaker(lakehouse: Lakehouse, table: Table, options: Options, now: int) -> frozenset[str]:
    """Erases the published versions of a table that were made under weaker options.

    Args:
        lakehouse: Where the table is.
        table: The table; only the training set has published versions.
        options: Those that the table has been made with since.
        now: The time (epoch milliseconds, UTC).

    Returns:
        The names of the data files that published versions still need.
    """
    if table != TRAINING_SET:
        return frozenset()
    uri = lakehouse.uri_of(table)
    weaker = [each for each in remaining(uri) if options.beyond(each.options)]
    erase(uri, weaker, now, Reason.WEAKER)
    return spared(uri)


def erase(uri: str, versions: Sequence[Manifest], at: int, because: Reason) -> None:
    """Erases published versions: their data files, and all that describes them but a manifest.

    Files that the current version or another published one needs stay. It is safe to re-run after a
    crash.

    Args:
        uri: Where the training set is.
        versions: The versions.
        at: The time (epoch milliseconds, UTC).
        because: Why.
    """
    gone = {each.version for each in versions}
    needed = {f.name for each in remaining(uri) if each.version not in gone for f in each.files}
    table = delta.open_table(uri)
    if table is not None:
        needed |= {name.rpartition("/")[2] for name in table.file_uris()}
    for each in versions:
        with storage_faults(uri):
            names = [file.name for file in each.files if file.name not in needed]
            storage.open_folder(uri).remove(names)
            folder = storage.open_folder(manifests.folder_of(uri, each.version))
            beside = [file.name for file in folder.files() if file.name != manifests.FILE]
            folder.remove(beside)
        manifests.write(uri, each.erased(at, because))
