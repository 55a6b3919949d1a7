"""Examines where files, tables and the history are, and what leads there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from rich import filesize

from stedi_assets import storage
from stedi_assets.doctor.finding import AGAIN, Finding, State
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.settings import Settings
from stedi_assets.storage.address import LOCAL, S3, as_uri
from stedi_assets.storage.faults import Side, service_faults, storage_faults
from stedi_assets.storage.folder import Folder
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES

# As much as a first load of the sample and its history take, ten times.
LEAST_FREE_BYTES = 1_000_000_000
PROBE = "_doctor"  # Delta passes over a name with a leading _


def credentials(settings: Settings) -> Finding:
    """Whether there are AWS credentials, where any are needed."""
    if not (
        settings.lakehouse_uri.startswith(S3) or settings.glue_database or settings.sns_topic_arn
    ):
        return Finding(State.OFF, "not needed: neither S3, Glue nor SNS is set.")
    from stedi_assets.storage import aws_settings

    with service_faults("The AWS credentials cannot be used", AGAIN):
        credentials = aws_settings.found().session.get_credentials()
        if credentials is None:
            code = Code.NO_CREDENTIALS
            raise LakehouseError(f"There are no AWS credentials. {code.fix}.", code)
        credentials.get_frozen_credentials()  # renews those that expire
    return Finding(State.OK, f"found by {credentials.method}.")


def lakehouse(settings: Settings) -> Finding:
    """Whether the bucket or the folder can be listed and written, if it is there."""
    root = as_uri(settings.lakehouse_uri)
    if root.startswith(LOCAL) and not Path(root.removeprefix(LOCAL)).exists():
        above = next(each for each in Path(root.removeprefix(LOCAL)).parents if each.exists())
        if not (above.is_dir() and os.access(above, os.W_OK)):
            code = Code.PERMISSION if above.is_dir() else Code.NOT_A_FOLDER
            raise LakehouseError(
                f"{root} cannot be created in {above}: {code.meaning}. {code.fix}, or set "
                "STEDI_LAKEHOUSE_URI to another folder.",
                code,
            )
        return Finding(State.OK, f"{root} does not exist yet; `stedi materialize` creates it.")
    folder = storage.open_folder(f"{root}/{DELTA_TABLES[0].location}")
    with storage_faults(folder.uri):
        next(iter(storage.open_folder(root).pages()), None)
        if root.startswith(S3) or folder.files():
            _write(folder)
    return Finding(State.OK, f"{root} can be read and written.")


def _write(folder: Folder) -> None:
    """Writes a probe file, makes sure that a conditional write does not replace it; removes it."""
    name = f"{PROBE}-{os.getpid()}"
    folder.write(name, "first", None)
    try:
        folder.write(name, "second", None)
    except LakehouseError:
        return
    finally:
        folder.remove([name])
    code = Code.NO_CONDITIONAL_WRITES
    raise LakehouseError(f"{folder.uri}: {code.meaning}. {code.fix}.", code)


def source(settings: Settings) -> Finding:
    """Whether the source files can be listed."""
    if not settings.source_data:
        return Finding(
            State.OFF, "STEDI_SOURCE_DATA is set to nothing: files arrive in landing by themselves."
        )
    from stedi_assets.orchestration.source import SourceData

    counts = {}
    for table in LANDING_TABLES:
        folder = SourceData(path=settings.source_data).folder(table)
        assert folder is not None
        with storage_faults(None, folder.uri):
            counts[table.location] = len(folder.json_lines())
    empty = [location for location, files in counts.items() if not files]
    if empty:
        said = f"{settings.source_data} has no *.json or *.json.gz in {', '.join(empty)}."
        return Finding(State.WARNING, f"{said} Put files there, or correct STEDI_SOURCE_DATA.")
    return Finding(State.OK, f"{settings.source_data} has {sum(counts.values()):,} files.")


def catalog(settings: Settings) -> Finding:
    """Whether the Glue database, and Athena's workgroup, can be used."""
    if not settings.glue_database:
        return Finding(State.OFF, "STEDI_GLUE_DATABASE is not set: tables are in no catalog.")
    from stedi_assets.catalog.glue import GlueCatalog
    from stedi_assets.storage import aws_settings

    database, workgroup = settings.glue_database, settings.athena_workgroup
    GlueCatalog(database).require_usable(as_uri(settings.lakehouse_uri))
    with service_faults(f"The Glue database {database} cannot be used", AGAIN):
        aws_settings.found().client("glue").get_database(Name=database)
    if workgroup:
        with service_faults(f"The Athena workgroup {workgroup} cannot be used", AGAIN):
            answer = aws_settings.found().client("athena").get_work_group(WorkGroup=workgroup)
        if (answer.get("WorkGroup") or {}).get("State") != "ENABLED":
            code = Code.NO_WORKGROUP
            raise LakehouseError(
                f"The Athena workgroup {workgroup} does not exist, or is disabled. {code.fix}, or "
                "enable it.",
                code,
            )
    athena = f" and the Athena workgroup {workgroup}" if workgroup else ""
    return Finding(State.OK, f"the Glue database {database}{athena} can be used.")


def disk(settings: Settings, base: Path) -> Finding:
    """Whether there is room where tables, history and temporary files are."""
    root = as_uri(settings.lakehouse_uri)
    places = [
        Side("the lakehouse", root, "STEDI_LAKEHOUSE_URI"),
        Side("temporary files", tempfile.gettempdir(), "TMPDIR"),
        Side("the history", str(base), "DAGSTER_HOME"),
    ]
    local = [place for place in places if place.path]
    for place in local:
        if place.free_bytes < LEAST_FREE_BYTES:
            free = filesize.decimal(int(place.free_bytes))
            said = f"{free} free for {place.name} in {place.path}. {Code.DISK_FULL.fix}, or set "
            return Finding(State.WARNING, f"{said}{place.setting} to a folder on another disk.")
    least = min(place.free_bytes for place in local)
    return Finding(State.OK, f"at least {filesize.decimal(int(least))} free in each place.")
