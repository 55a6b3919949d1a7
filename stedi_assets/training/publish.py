"""Publishes the training set as it is: a version that stays, and its manifest."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from stedi_assets import storage
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import delta
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.lakehouse.plan import is_fresh
from stedi_assets.lakehouse.verified import verified
from stedi_assets.policy import Options
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import DELTA_TABLES, TABLES, checks, recount
from stedi_assets.tables.columns import ColumnType
from stedi_assets.tables.customer import CUSTOMER_TRAINING
from stedi_assets.tables.functions import applied
from stedi_assets.tables.groups import FIRST
from stedi_assets.tables.machine_learning import TRAINING_SET, part_of
from stedi_assets.training import description, statistics
from stedi_assets.training import manifest as manifests
from stedi_assets.training.manifest import Counts, DataFile, Distribution, Drift, Manifest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from stedi_assets.split import Split

JOB = "publish_training_set"
BINS = 10
# The columns that are compared with the version before, and from which index one counts as drifted:
# `python -m benchmarks.drift` measures how often samples that differ only in their seed reach it.
COMPARED = tuple(
    column.name
    for column in TRAINING_SET.columns
    if column.type in (ColumnType.INT, ColumnType.DOUBLE)
)
WHOLE = [column.name for column in TRAINING_SET.columns if column.type is ColumnType.INT]
DRIFTED = 0.02
# A bin without rows would make the index infinite.
LEAST_SHARE = 1e-4


def publish(
    lakehouse: Lakehouse, pseudonyms: Pseudonyms, policy: Options, now: int
) -> tuple[Manifest, bool]:
    """Publishes the current version of the training set.

    Args:
        lakehouse: Where it is.
        pseudonyms: Makes the pseudonyms.
        policy: What the settings say.
        now: The time (epoch milliseconds, UTC).

    Returns:
        Its manifest, and whether it is new: the same rows are not published twice.

    Raises:
        LakehouseError: If there is no training set, or it may not be published as it is.
    """
    uri = lakehouse.uri_of(TRAINING_SET)
    frame, state = lakehouse.read(TRAINING_SET), lakehouse.state(TRAINING_SET)
    assert state is not None
    remaining = [each for each in manifests.published(uri) if each.erased_at is None]
    last = remaining[-1] if remaining else None
    commit = state.commit
    if state.foreign or commit.id is None or commit.split is None or commit.as_of is None:
        raise _refused("was changed by something other than a run")
    if last is not None and last.state == commit.id:
        return last, False
    if lacking := policy.beyond(commit.config):
        raise _refused(f"was made without {', '.join(lacking)}, which the policy requires")
    if not is_fresh(lakehouse, TRAINING_SET):
        raise _refused("was made before its parents changed")
    found = verified(lakehouse, TRAINING_SET, now, pseudonyms)
    if not found.is_sound(TRAINING_SET):
        faults = [c.name for c in checks.checks_of(TRAINING_SET) if found.at_fault(c)]
        raise _refused(f"fails its checks ({', '.join(faults) or 'counts'})")
    if not state.rows:
        raise _refused("has no rows, since no one is left whose readings may train a model")
    people = _people(lakehouse)
    counts = _counts(frame, people, lakehouse.scan(CUSTOMER_TRAINING), commit.split)
    if empty := [part for part, each in counts.items() if not each.rows]:
        raise LakehouseError(
            f"The part {empty[0]} of training_set has no rows, since too few people are left. "
            "Choose another seed or other shares (STEDI_SPLIT_SEED, STEDI_SPLIT_SHARES), "
            f"materialise it, then run {JOB} again.",
            Code.NOT_PUBLISHED,
        )
    files = _files(uri, state.version)
    manifest = Manifest(
        version=state.version,
        state=commit.id,
        published_at=now,
        consent_as_of=commit.as_of,
        options=commit.config,
        code_version=commit.code,
        split=commit.split,
        rows=state.rows,
        counts=counts,
        files=files,
        digest=hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest(),
        distributions=_distributions(frame),
        drift=_drift(frame, last) if last else None,
    )
    figures = statistics.count(frame, people, _stages(lakehouse, commit), COMPARED)
    description.write(uri, manifest, figures, TRAINING_SET.columns)
    # Last, since a version is published once it has a manifest.
    manifests.write(uri, manifest)
    return manifest, True


def _refused(why: str) -> LakehouseError:
    return LakehouseError(
        f"training_set {why}, so that no version of it is published. Materialise it, then run "
        f"{JOB} again.",
        Code.NOT_PUBLISHED,
    )


def _people(lakehouse: Lakehouse) -> DataFrame:
    """The `email` of each person with rows, and how many `rows`: rows themselves name no one."""
    from pyspark.sql import functions as F

    paired = applied(recount.paired, lambda name: lakehouse.scan(TABLES[name]), 0)
    found = recount.own_pairs(paired)
    each = found.groupBy(F.col(recount.PERSON).alias("email"))
    people: DataFrame = each.agg(F.sum("expected").alias("rows")).where("rows > 0")
    return lakehouse.spark.cached(people)


def _counts(
    frame: DataFrame, people: DataFrame, owners: DataFrame, split: Split
) -> dict[str, Counts]:
    """How many rows, people and devices are in each part."""
    from pyspark.sql import functions as F

    # Not count: the embedded engine fails to plan it where a table has one value of a key only.
    one = F.sum(F.lit(1))
    devices = frame.groupBy("split", "serialNumber").agg(one.alias("rows"))
    of_rows = devices.groupBy("split").agg(F.sum("rows").alias("rows"), one.alias("devices"))
    parts = owners.select("email", part_of(FIRST, split).alias("split")).distinct()
    of_people = parts.join(people, "email").groupBy("split").agg(one.alias("people"))
    found: dict[str, dict[str, int]] = {part: {} for part in split.shares}
    for row in (*of_rows.collect(), *of_people.collect()):
        found[row["split"]] |= row.asDict()
    return {
        part: Counts(**{name: each.get(name, 0) for name in Counts.model_fields})
        for part, each in found.items()
    }


def _stages(lakehouse: Lakehouse, commit: Commit) -> dict[str, int]:
    """Table to its rows, from landing to those that the training set is made of."""
    landed = {name: each.records for name, each in commit.landing.items()}
    before = (table for table in DELTA_TABLES if table != TRAINING_SET)
    states = {table.name: lakehouse.state(table) for table in before}
    return landed | {name: state.rows for name, state in states.items() if state}


def _files(uri: str, version: int) -> tuple[DataFile, ...]:
    """The data files of a version, by name."""
    table = delta.open_table(uri)
    assert table is not None
    with storage_faults(uri):
        table.load_as_version(version)
        added = table.get_add_actions(flatten=True)
        columns = {name: added[name].to_pylist() for name in added.schema.names}
        folder = storage.open_folder(uri)
        named = set(columns["path"])
        digests = folder.digests([file for file in folder.files() if file.name in named])
    time = TRAINING_SET.time_column
    bounds = [columns.get(f"{end}.{time}", [None] * len(named)) for end in ("min", "max")]
    each = zip(columns["path"], columns["size_bytes"], columns["num_records"], *bounds, strict=True)
    return tuple(
        DataFile(name=name, size=size, sha256=digests[name], rows=rows, first=first, last=last)
        for name, size, rows, first, last in sorted(each)
    )


def _distributions(frame: DataFrame) -> dict[str, Distribution]:
    """How the values of the compared columns are distributed, in bins of about as many rows.

    The first bin and the last are of what is beyond all values, and so without rows.
    """
    from pyspark.sql import functions as F

    # One by one: the embedded engine takes no list of percentages.
    quantiles = [
        F.percentile_approx(F.col(name).cast("double"), number / BINS).alias(f"{name} {number}")
        for name in COMPARED
        for number in range(1, BINS)
    ]
    ends = [
        end(name).cast("double").alias(f"{name} {number}")
        for name in COMPARED
        for number, end in ((0, F.min), (BINS, F.max))
    ]
    [found] = frame.agg(*quantiles, *ends).collect()
    edges = {}
    for name in COMPARED:
        inner = {float(found[f"{name} {number}"]) for number in range(1, BINS + 1)}
        if name in WHOLE:  # between two values the engine interpolates
            inner = {float(math.floor(edge)) for edge in inner}
        edges[name] = [math.nextafter(found[f"{name} 0"], -math.inf), *sorted(inner)]
    return _in_bins(frame, edges)


def _in_bins(frame: DataFrame, edges: Mapping[str, Sequence[float]]) -> dict[str, Distribution]:
    """The shares of the rows that are in each bin of some columns."""
    from pyspark.sql import functions as F

    up_to = {
        f"{name} {number}": F.count_if(F.col(name) <= F.lit(edge))
        for name, each in edges.items()
        for number, edge in enumerate(each)
    }
    counts = [count.alias(name) for name, count in up_to.items()]
    [found] = frame.agg(F.sum(F.lit(1)).alias("rows"), *counts).collect()
    shares = {}
    for name, each in edges.items():
        below = [0, *(found[f"{name} {number}"] for number in range(len(each))), found["rows"]]
        shares[name] = Distribution(
            edges=tuple(each),
            shares=tuple((to - since) / found["rows"] for since, to in itertools.pairwise(below)),
        )
    return shares


def _drift(frame: DataFrame, last: Manifest) -> Drift:
    now = _in_bins(frame, {name: each.edges for name, each in last.distributions.items()})
    psi = {name: stability(last.distributions[name].shares, now[name].shares) for name in now}
    return Drift(against=last.version, psi=psi, bound=DRIFTED)


def stability(before: Sequence[float], now: Sequence[float]) -> float:
    """The population stability index (PSI) of shares of the same bins, before and now."""
    floored = [(max(b, LEAST_SHARE), max(n, LEAST_SHARE)) for b, n in zip(before, now, strict=True)]
    return sum((n - b) * math.log(n / b) for b, n in floored)
