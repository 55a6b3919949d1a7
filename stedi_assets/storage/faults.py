"""Faults of storage, of services and of engines as a user reads them: what, where, and the fix."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.settings import history_home
from stedi_assets.storage.address import LOCAL, S3, without_userinfo
from stedi_assets.storage.signs import code_of, sqlite_name

OF_ENGINE = {
    *(Code.ENGINE_LOST, Code.ENGINE_TOKEN, Code.ENGINE_JAR, Code.ENGINE_CREDENTIALS),
    Code.OUT_OF_MEMORY,
}
DAMAGED = {Code.LOG_DAMAGED, Code.DATA_FILE_DAMAGED}
OF_PLACE = {
    *(Code.DISK_FULL, Code.READ_ONLY, Code.PERMISSION, Code.NOT_A_FOLDER, Code.NO_BUCKET),
}

# The place of a table in the lakehouse, before the name of one of its data files.
DATA_FILE = re.compile(r"([a-z_]+/[a-z_]+)/[^/\s]+\.parquet")


@dataclass(frozen=True)
class Side:
    """A place that may be at fault.

    Attributes:
        name: What it is.
        uri: Where it is: an URI or a path.
        setting: The environment variable that names it.
    """

    name: str
    uri: str
    setting: str

    @property
    def path(self) -> Path | None:
        """Its path, if it is on a local disk."""
        return None if self.uri.startswith(S3) else Path(self.uri.removeprefix(LOCAL))

    def holds(self, file: Path) -> bool:
        """Whether a file is in it, or is a folder above it."""
        path = self.path
        return path is not None and (file.is_relative_to(path) or path.is_relative_to(file))

    @property
    def free_bytes(self) -> float:
        """How much room its disk has; infinite where there is no disk to ask."""
        path = self.path
        while path is not None and not path.exists():
            path = path.parent
        return shutil.disk_usage(path).free if path else float("inf")


def fault(
    uri: str | None, error: BaseException, source: str | None = None
) -> LakehouseError | None:
    """The fault behind an error, if it is one that a user can fix.

    Args:
        uri: The folder of the lakehouse that was used; None where that is not known.
        error: The error.
        source: The folder that was copied from, if one was.
    """
    code = code_of(error)
    if code is None:
        return None
    if uri and code is Code.DATA_FILE_DAMAGED and (file := DATA_FILE.search(str(error))):
        uri = f"{uri.rsplit('/', 2)[0]}/{file[1]}"  # of the table that was read
    side = None if code in OF_ENGINE else _side(uri, error, code, source)
    refused = f" ({_answer(error)[0]})" if code is Code.REFUSED else ""
    return _made(code, side, refused)


def table_fault(uri: str, code: Code) -> LakehouseError:
    """The fault with a code at a folder of the lakehouse."""
    return _made(code, _lakehouse(uri))


def _made(code: Code, side: Side | None, refused: str = "") -> LakehouseError:
    where = f"{side.name} cannot be used at {without_userinfo(side.uri)}: " if side else ""
    elsewhere = f", or set {side.setting} to another place" if side and code in OF_PLACE else ""
    kept = "" if code in DAMAGED else " Every table is at its last good version."
    said = f"{where}{code.meaning}{refused}"
    return LakehouseError(
        f"{said[0].upper()}{said[1:]}. {code.fix}{elsewhere}, then run again.{kept}", code
    )


def _lakehouse(uri: str) -> Side:
    return Side("The lakehouse", uri, "STEDI_LAKEHOUSE_URI")


def _side(uri: str | None, error: BaseException, code: Code, source: str | None) -> Side | None:
    """Which place an error is of: by the file that it names, or else the disk that is full."""
    used = [_lakehouse(uri)] if uri else []
    used += [Side("The source", source, "STEDI_SOURCE_DATA")] if source else []
    sides = [*used, Side("The folder for temporary files", tempfile.gettempdir(), "TMPDIR")]
    if home := history_home():
        sides.append(Side("Dagster's history", str(home), "DAGSTER_HOME"))
        if sqlite_name(error):
            return sides[-1]
    names = [getattr(error, name, None) for name in ("filename", "filename2")]
    if files := [Path(name) for name in names if isinstance(name, str)]:
        # Of a copy, its source and its target.
        file = files[-1 if code in (Code.DISK_FULL, Code.READ_ONLY) else 0]
        holding = [side for side in sides if side.holds(file)]
        return max(holding, key=lambda side: len(str(side.path)), default=next(iter(used), None))
    if code is Code.DISK_FULL:
        return min(sides, key=lambda side: side.free_bytes)
    return next(iter(used), None)


def storage_faults(
    uri: str | None = None, source: str | None = None
) -> contextlib.AbstractContextManager[None]:
    """Says in one sentence why a place could not be read or written.

    Args:
        uri: The folder of the lakehouse; None where that is not known.
        source: The folder that is copied from, if one is.

    Returns:
        A context that raises `LakehouseError` for the faults that a user can fix; other errors
        pass as they are.
    """
    return _translated(lambda error: fault(uri, error, source))


def service_faults(what: str, then: str) -> contextlib.AbstractContextManager[None]:
    """Says in one sentence why a service of AWS did not do as asked.

    Args:
        what: What could not be done.
        then: What to do once the cause is fixed.

    Returns:
        A context that raises `LakehouseError` for each error of the service and of reaching it.
    """

    def meant(error: Exception) -> LakehouseError | None:
        code = code_of(error)
        if code is None:
            return None
        said = f"{code.meaning}. {code.fix}"
        if code is Code.REFUSED:
            said = ": ".join(_answer(error)).rstrip(".")
        return LakehouseError(f"{what}: {said}. {then}", code)

    return _translated(meant)


def _answer(error: BaseException) -> tuple[str, str]:
    """The code and the message of a service's answer, or an error's own words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror, ""
    answered = getattr(error, "response", {}).get("Error", {})
    said = answered.get("Message", str(error))
    return answered.get("Code", type(error).__name__), without_userinfo(said)


@contextlib.contextmanager
def _translated(meant: Callable[[Exception], LakehouseError | None]) -> Iterator[None]:
    try:
        yield
    except LakehouseError:
        raise
    except Exception as error:
        if fault := meant(error):
            raise fault from None
        raise
