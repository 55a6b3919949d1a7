"""The manifests of the training set's published versions: which there are, and what each holds.

A published version is a list of data files that stay. Delta's log need not know it any more, since
old log files are deleted sooner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ValidationError

from stedi_assets import storage
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.policy import NO_OPTION, Options
from stedi_assets.split import Split
from stedi_assets.storage.faults import storage_faults

# The training set's folder in a lakehouse, and in it that of the published versions.
LOCATION = "machine_learning/training"
PUBLISHED, FILE = "_published", "manifest.json"


class Reason(StrEnum):
    """Why a version was erased, as the end of a sentence."""

    LEFT = "because a person or a reading in it has left"
    WEAKER = "because it was made under weaker options than the privacy policy has now"
    INCOMPLETE = "because data files of it are gone"


class DataFile(BaseModel, frozen=True):
    """A Parquet file of a version.

    Attributes:
        name: Its name in the folder of the training set.
        size: Its size in bytes.
        sha256: The SHA-256 of its content, in hexadecimal.
        rows: How many rows it has.
        first: The least timestamp in it (epoch milliseconds, UTC); None where it has no row.
        last: The greatest timestamp in it.
    """

    name: str
    size: int
    sha256: str
    rows: int
    first: int | None
    last: int | None


class Counts(BaseModel, frozen=True):
    """How much a part of the split holds."""

    rows: int
    people: int
    devices: int


class Distribution(BaseModel, frozen=True):
    """How the values of a column are distributed.

    Attributes:
        edges: The values between which the bins are: the first bin is of those up to the first
            edge, included; the last one of those above the last edge.
        shares: The share of the rows in each bin, one more than there are edges.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]


class Drift(BaseModel, frozen=True):
    """How a version differs from the published version before it.

    Attributes:
        against: That version.
        psi: Column to its population stability index.
        bound: The index from which a column counts as drifted.
    """

    against: int
    psi: Mapping[str, float]
    bound: float

    @property
    def columns(self) -> list[str]:
        """The columns that drifted, by name."""
        return sorted(name for name, value in self.psi.items() if value >= self.bound)


class Manifest(BaseModel, frozen=True):
    """What a published version of the training set holds, without personal data.

    Attributes:
        format: The version of this model.
        version: The Delta version of training_set, the published version's name.
        state: The id of the state of its rows, which no other rows have.
        published_at: When it was published (epoch milliseconds, UTC).
        consent_as_of: The time by which consent was judged (epoch milliseconds, UTC).
        options: The options that it was made with.
        code_version: A digest of the code that made its rows.
        split: The seed and the shares of the split.
        rows: How many rows it has.
        counts: Part of the split to what is in it.
        files: Its data files; none of an erased version.
        digest: The SHA-256, in hexadecimal, of the files' digests: two versions with the same one
            are the same bytes.
        distributions: Column to how its values are distributed; none of an erased version.
        drift: How it differs from the published version before it; None for the first.
        erased_at: When it was deleted (epoch milliseconds, UTC); None while it can be read.
        erased_because: Why; None while it can be read.
    """

    format: Literal[1] = 1
    version: int
    state: str
    published_at: int
    consent_as_of: int
    options: Options = NO_OPTION
    code_version: str
    split: Split
    rows: int
    counts: Mapping[str, Counts]
    files: tuple[DataFile, ...]
    digest: str
    distributions: Mapping[str, Distribution] = {}
    drift: Drift | None = None
    erased_at: int | None = None
    erased_because: Reason | None = None

    def erased(self, at: int, because: Reason) -> Manifest:
        """The manifest as it stays once the version is erased (epoch milliseconds, UTC)."""
        gone = {"erased_at": at, "erased_because": because}
        return self.model_copy(update={"files": (), "distributions": {}, **gone})


def folder_of(uri: str, version: int) -> str:
    """The URI of the folder of a published version.

    Args:
        uri: Where the training set is.
        version: The version.
    """
    return f"{uri}/{PUBLISHED}/{version}"


def published(uri: str) -> list[Manifest]:
    """The manifests of all published versions, erased ones too, the oldest first.

    Args:
        uri: Where the training set is.

    Raises:
        LakehouseError: If one cannot be read, or is of another release.
    """
    return [found for version in _versions(uri) if (found := read(uri, version))]


def read(uri: str, version: int) -> Manifest | None:
    """The manifest of a version; None where it was not published.

    Args:
        uri: Where the training set is.
        version: The version.

    Raises:
        LakehouseError: If it cannot be read, or is of another release.
    """
    folder = storage.open_folder(folder_of(uri, version))
    with storage_faults(uri):
        file = folder.file(FILE)
        if file is None:
            return None
        with folder.open(file) as stored:
            content = stored.read()
    try:
        return Manifest.model_validate_json(content)
    except ValidationError:
        raise LakehouseError(
            f"{folder.uri}/{FILE} is damaged or of another release. Publish with this release, or "
            "restore the file.",
            Code.OTHER_RELEASE,
        ) from None


def write(uri: str, manifest: Manifest) -> None:
    """Writes the manifest of a version over what is there.

    Args:
        uri: Where the training set is.
        manifest: The manifest.

    Raises:
        LakehouseError: If it cannot be written.
    """
    folder = storage.open_folder(folder_of(uri, manifest.version))
    with storage_faults(uri):
        folder.write(FILE, manifest.model_dump_json(indent=2), folder.file(FILE))


def _versions(uri: str) -> Iterator[int]:
    from pyarrow.fs import FileSelector, FileType

    with storage_faults(uri):
        filesystem = storage.open_folder(uri).arrow_filesystem()
        found = filesystem.get_file_info(FileSelector(PUBLISHED, allow_not_found=True))
    names = [each.base_name for each in found if each.type is FileType.Directory]
    yield from sorted(int(name) for name in names if name.isdecimal())
