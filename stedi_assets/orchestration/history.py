"""Which lakehouse a history of runs is of: one history, DAGSTER_HOME, for each lakehouse.

Dagster knows tables by their names. In a history of two lakehouses it would show the rows, the
checks and the freshness of one as those of the other.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.orchestration.sqlite import kept_open
from stedi_assets.storage.address import S3, as_uri, without_userinfo
from stedi_assets.storage.faults import storage_faults
from stedi_assets.storage.local import create_privately
from stedi_assets.tables import LANDING_TABLES

INSTANCE = Path(__file__).parent.with_name("dagster.yaml")
# Within DAGSTER_HOME: where Dagster keeps its databases, where the mark is, and where the histories
# of further lakehouses are.
DATABASES, MARK, OTHERS = "history", Path("storage", "lakehouse"), "lakehouses"


def identity(location: str) -> str:
    """What tells a lakehouse from all others: its address and, in a bucket, the store's.

    Raises:
        LakehouseError: If the address cannot be used.
    """
    uri = as_uri(location)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return f"{uri} at {without_userinfo(endpoint)}" if uri.startswith(S3) and endpoint else uri


def home_of(lakehouse: str, base: Path) -> Path:
    """The DAGSTER_HOME of a lakehouse: a base folder, or one in it where that is another's.

    Args:
        lakehouse: Its `identity`.
        base: The folder of the first lakehouse.

    Raises:
        LakehouseError: If the history in the base folder cannot be read.
    """
    return base if _owner(base) in (None, lakehouse) else _beside(lakehouse, base)


def create(home: Path) -> None:
    """Creates a history that does not exist, with the project's settings, so that runs take turns.

    Raises:
        LakehouseError: If the folder cannot be written.
    """
    settings = home / INSTANCE.name
    try:
        if not settings.exists() and not (home / DATABASES).exists():
            create_privately(home)
            # Complete from the first moment that another process sees it.
            partial = settings.with_suffix(f".{os.getpid()}")
            partial.write_bytes(INSTANCE.read_bytes())
            partial.replace(settings)
    except OSError as error:
        raise LakehouseError(
            f"The history of runs cannot be kept in {home}: {error.strerror}. Set DAGSTER_HOME to "
            "another folder."
        ) from None


@contextlib.contextmanager
def opened(home: Path) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of a folder, DAGSTER_HOME, which is created if it does not exist.

    Under a lock, since two processes that create the databases at once leave them with two schema
    heads, which Dagster cannot open.

    Raises:
        LakehouseError: If it cannot be read or written, now or while it is used.
    """
    with storage_faults():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (home / "making.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            instance = dg.DagsterInstance.from_ref(kept_open(InstanceRef.from_dir(str(home))))
        with instance:
            yield instance


def claim(instance: dg.DagsterInstance, lakehouse: str) -> None:
    """Marks a history as that of a lakehouse, unless it is one's already.

    Args:
        instance: The history.
        lakehouse: Its `identity`.

    Raises:
        LakehouseError: If it is another's.
    """
    home = Path(instance.storage_directory()).parent
    if _marked(home) is None:
        (home / MARK).parent.mkdir(parents=True, exist_ok=True)
        with (home / MARK).open("a+", encoding="utf-8") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX)
            if _marked(home) is None:
                mark.write(_materialized(instance, lakehouse))
    require_own(home, lakehouse)


def require_own(home: Path, lakehouse: str) -> None:
    """Makes sure that a history is not another lakehouse's.

    Raises:
        LakehouseError: If it is.
    """
    owner = _marked(home)
    if owner not in (None, lakehouse):
        raise LakehouseError(
            f"The history in {home} is that of the lakehouse {owner}, whose rows and checks would "
            f"be shown as those of {lakehouse}. Set DAGSTER_HOME to {_beside(lakehouse, home)}, "
            "where `stedi` keeps the history of that one, or to a new folder.",
            Code.HISTORY,
        )


def _marked(home: Path) -> str | None:
    try:
        return (home / MARK).read_text(encoding="utf-8") or None
    except (FileNotFoundError, NotADirectoryError):
        return None


def _owner(home: Path) -> str | None:
    """Whose history is in a folder; None where there is none, or none with a table yet."""
    owner = _marked(home)
    if owner is None and (home / DATABASES).exists():
        with opened(home) as instance:  # of a release that marked none
            return _materialized(instance, "") or None
    return owner


def _materialized(instance: dg.DagsterInstance, lakehouse: str) -> str:
    """The lakehouse of which a history has tables; the given one where it has none."""
    for table in LANDING_TABLES:
        event = instance.get_latest_materialization_event(dg.AssetKey(table.name))
        made = event.asset_materialization if event else None
        # One that a person reported has none.
        if made and (uri := made.metadata.get("dagster/uri")):
            return identity(str(uri.value).removesuffix(f"/{table.location}"))
    return lakehouse


def _beside(lakehouse: str, base: Path) -> Path:
    name = re.sub(r"\W+", "-", lakehouse.partition("://")[2]).strip("-")[-40:]
    digest = hashlib.sha256(lakehouse.encode()).hexdigest()[:8]
    return base / OTHERS / f"{name}-{digest}"
