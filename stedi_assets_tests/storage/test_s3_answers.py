"""Answers of the object store that are cut or are none: never an empty folder, never a loss."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import pytest
from pyspark.sql import DataFrame

from stedi_assets import storage
from stedi_assets.demo_s3 import S3Server
from stedi_assets.engine.spark import SparkResource
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import delta, writer
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.landing import upload as arrival
from stedi_assets.landing.erased import note_erased
from stedi_assets.landing.ledger import LEDGER
from stedi_assets.storage import aws_settings, s3_upload
from stedi_assets.storage.faults import storage_faults
from stedi_assets.storage.folder import Folder, StoredFile, sha256_of
from stedi_assets.storage.local import LocalFolder
from stedi_assets.storage.s3 import S3Folder
from stedi_assets.tables.step_trainer import STEP_TRAINER_TRUSTED
from stedi_assets_tests.faults import raises
from stedi_assets_tests.rows import DEVICE_READINGS, rows
from stedi_assets_tests.s3_proxy import Fault, Request, S3Proxy, Spoilt, s3_proxy

pytestmark = pytest.mark.slow

FORMS = pytest.mark.parametrize("form", Spoilt, ids=lambda form: form.name.lower())


@pytest.fixture
def through_proxy(
    proxy: S3Proxy, s3_server: S3Server, uri: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The address of an empty lakehouse; this process reaches it through the proxy."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT", proxy.endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    aws_settings.found.cache_clear()
    yield uri
    aws_settings.found.cache_clear()


@pytest.fixture
def landing(through_proxy: str, tmp_path: Path) -> Folder:
    """A landing folder that holds `a.json`."""
    folder = storage.open_folder(f"{through_proxy}/customer/landing")
    _upload(folder, tmp_path, "a.json", "the first version\n")
    return folder


def _upload(
    folder: Folder, scratch: Path, name: str, content: str, **options: StoredFile | None
) -> str:
    path = scratch / "content"
    path.write_text(content)
    folder.upload(path, name, sha256_of(path), **options)
    return sha256_of(path)


def _content(folder: Folder) -> dict[str, str]:
    found = {}
    for file in storage.open_folder(folder.uri).files():
        if file.name == LEDGER:
            continue
        with folder.open(file) as stored:
            found[file.name] = stored.read().decode()
    return found


def _always(
    form: Spoilt | Fault, method: str, part: str
) -> Callable[[Request], Fault | Spoilt | None]:
    return lambda asked: form if asked.method == method and part in asked.path else None


@contextmanager
def _transient(code: Code | None = None) -> Iterator[None]:
    """What is done in it fails, by a fault that may pass."""
    with pytest.raises(LakehouseError) as raised:
        yield
    assert raised.value.transient, raised.value
    assert code in (None, raised.value.code)


def _read(folder: Folder) -> None:
    [file] = folder.files()
    with folder.open(file) as stored:
        stored.read()


@pytest.mark.parametrize(
    ("method", "part", "operation", "forms"),
    [
        pytest.param("GET", "list-type=2", Folder.files, [*Spoilt], id="listing"),
        pytest.param("GET", "versions", S3Folder.delete_noncurrent_versions, [*Spoilt], id="old"),
        pytest.param("GET", "/a.json", _read, [*Spoilt], id="content"),
        pytest.param(
            "POST",
            "delete",
            lambda folder: folder.remove(["a.json"]),
            [form for form in Spoilt if form is not Spoilt.HEADLESS],  # which says that it is done
            id="delete",
        ),
        pytest.param(
            "HEAD",
            "/a.json",
            lambda folder: folder.digest(folder.file("a.json")),
            [Spoilt.HTML],
            id="digest",
        ),
    ],
)
def test__answer__that_is_not_whole(
    method: str,
    part: str,
    operation: Callable[[Folder], object],
    forms: list[Spoilt],
    landing: Folder,
    proxy: S3Proxy,
) -> None:
    for form in forms:
        proxy.fault = _always(form, method, part)
        with _transient():
            operation(landing)


@FORMS
def test__listing__is_asked_for_again(form: Spoilt, landing: Folder, proxy: S3Proxy) -> None:
    listings = itertools.count()
    proxy.fault = lambda asked: form if "list-type" in asked.path and not next(listings) else None
    assert [file.name for file in landing.files()] == ["a.json"]
    assert next(listings) > 1


@pytest.fixture
def arriving(tmp_path: Path, landing: Folder) -> LocalFolder:
    """A source with `a.json` changed, `b.json` new and `c.json` erased."""
    source = tmp_path / "source"
    source.mkdir()
    for name in "abc":
        (source / f"{name}.json").write_text(f"{name} as it is now\n")
    note_erased(landing, {sha256_of(source / "c.json")})
    return LocalFolder(f"file://{source}")


@pytest.mark.parametrize("stays", [False, True], ids=["once", "from_then_on"])
@FORMS
def test__upload__each_answer_spoilt(
    form: Spoilt, stays: bool, landing: Folder, arriving: LocalFolder, proxy: S3Proxy
) -> None:
    """What landed is untouched, an erased file stays away, and the next run ends it."""
    before = _content(landing)
    digest = sha256_of(arriving.path / "a.json")[:12]
    after = before | {f"a-{digest}.json": "a as it is now\n", "b.json": "b as it is now\n"}
    for number in itertools.count():
        folder = storage.open_folder(landing.uri)
        folder.remove([LEDGER, *(name for name in after if name not in before)])
        begun = len(proxy.requests)

        def spoil(asked: Request, at: int = begun + number + 1) -> Spoilt | None:
            reached = len(proxy.requests)
            return form if reached == at or (stays and reached > at) else None

        proxy.fault = spoil
        try:
            arrival.ingest(arriving, folder)
        except LakehouseError as error:
            assert error.transient, error
            assert landing.uri in str(error)
        asked = len(proxy.requests) - begun
        proxy.fault = lambda asked: None
        assert before.items() <= _content(folder).items() <= after.items()
        arrival.ingest(arriving, storage.open_folder(landing.uri))
        assert _content(folder) == after
        if asked <= number:
            break
    assert number > 4


@FORMS
def test__upload__in_parts(
    form: Spoilt,
    landing: Folder,
    proxy: S3Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3_upload, "WHOLE_BYTES", 1 << 10)
    monkeypatch.setattr(s3_upload, "PART_BYTES", 5 << 20)
    content = "a long line\n" * 500_000
    for number in range(5):
        begun = len(proxy.requests)

        def spoil(asked: Request, at: int = begun + number + 1) -> Spoilt | None:
            return form if len(proxy.requests) == at else None

        proxy.fault = spoil
        _upload(landing, tmp_path, f"{number}.json", content)
        proxy.fault = lambda asked: None
    assert {"a.json": "the first version\n"} | {
        f"{number}.json": content for number in range(5)
    } == _content(landing)
    with raises(Code.WRITE_CONFLICT):
        _upload(landing, tmp_path, "0.json", f"{content}.")


def test__upload__takes_no_name_of_another(landing: Folder, tmp_path: Path) -> None:
    """A device, or another run, landed it after the folder was listed."""
    with _transient(Code.WRITE_CONFLICT):
        _upload(landing, tmp_path, "a.json", "another\n")
    assert _content(landing) == {"a.json": "the first version\n"}
    _upload(landing, tmp_path, "a.json", "the first version\n")


def test__upload__replaces_only_what_was_seen(landing: Folder, tmp_path: Path) -> None:
    seen = landing.file("a.json")
    _upload(landing, tmp_path, "a.json", "the second\n", replaces=seen)
    assert _content(landing) == {"a.json": "the second\n"}
    with _transient():
        _upload(landing, tmp_path, "a.json", "the third\n", replaces=seen)
    assert _content(landing) == {"a.json": "the second\n"}
    _upload(landing, tmp_path, "a.json", "the second\n", replaces=seen)
    landing.remove(["a.json"])
    with _transient():
        _upload(landing, tmp_path, "a.json", "the third\n", replaces=seen)
    assert landing.file("a.json") is None


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(409, "ConditionalRequestConflict"), Code.WRITE_CONFLICT),
        (Fault(501, "NotImplemented"), Code.NO_CONDITIONAL_WRITES),
    ],
    ids=["conflict", "unknown"],
)
def test__upload__condition_that_the_store_refuses(
    fault: Fault,
    code: Code,
    landing: Folder,
    arriving: LocalFolder,
    proxy: S3Proxy,
) -> None:
    proxy.fault = _always(fault, "PUT", "/landing/")
    with raises(code):
        arrival.ingest(arriving, landing)


@pytest.fixture(scope="module")
def before_engine(s3_server: S3Server) -> Iterator[S3Proxy]:
    """A proxy that outlives an engine, which keeps the address that it has found once."""
    with s3_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def own_engine(before_engine: S3Proxy) -> Iterator[SparkResource]:
    """An engine that reaches the server through that proxy."""
    resource = SparkResource()
    yield resource
    resource.teardown_after_execution(dg.build_init_resource_context())


@pytest.fixture
def lakehouse(
    through_proxy: str,
    before_engine: S3Proxy,
    own_engine: SparkResource,
    monkeypatch: pytest.MonkeyPatch,
) -> Lakehouse:
    """An empty lakehouse, which that engine reaches too."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", before_engine.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT", before_engine.endpoint)
    before_engine.fault = lambda asked: None
    return Lakehouse(through_proxy, own_engine)


@pytest.fixture(scope="module")
def stored_uris() -> list[str]:
    """The address of the lakehouse that tests share which only read it, once it is there."""
    return []


@pytest.fixture
def stored(lakehouse: Lakehouse, stored_uris: list[str]) -> Lakehouse:
    """A lakehouse with two versions of a table, to be read only."""
    if not stored_uris:
        _write_two_versions(lakehouse)
        stored_uris.append(lakehouse.uri)
    return Lakehouse(stored_uris[0], lakehouse.spark)


def _write_two_versions(lakehouse: Lakehouse) -> None:
    for number in (1, 2):
        lakehouse.write(STEP_TRAINER_TRUSTED, _frame(lakehouse, number))


def _frame(lakehouse: Lakehouse, number: int) -> DataFrame:
    return lakehouse.spark_session.createDataFrame(ROWS[:number], DEVICE_READINGS)


ROWS = [(1655564376361, "a-1", 7), (1655564376362, "a-1", 8), (1655564376363, "b-1", 9)]


@pytest.mark.parametrize("form", [Spoilt.HTML, Spoilt.HEADLESS, Spoilt.EMPTY, Spoilt.HALF])
@pytest.mark.parametrize("first", [1, 2])
def test__delta__log_that_looks_empty_is_no_absent_table(
    form: Spoilt, first: int, stored: Lakehouse, before_engine: S3Proxy
) -> None:
    """Whichever listing is spoilt: that of this package, or that of delta-rs."""
    uri = stored.uri_of(STEP_TRAINER_TRUSTED)
    listings = itertools.count(1)

    def spoil(asked: Request) -> Spoilt | None:
        return form if "list-type" in asked.path and next(listings) >= first else None

    before_engine.fault = spoil
    with _transient():
        delta.state(uri)


@pytest.mark.parametrize("stays", [False, True], ids=["once", "from_then_on"])
@FORMS
def test__delta__commit_that_is_cut_is_no_damaged_log(
    form: Spoilt, stays: bool, stored: Lakehouse, before_engine: S3Proxy
) -> None:
    uri = stored.uri_of(STEP_TRAINER_TRUSTED)
    commits = itertools.count()

    def spoil(asked: Request) -> Spoilt | None:
        # The checksum beside it too, by which delta-rs would do without a commit.
        is_commit = asked.method == "GET" and "/_delta_log/0" in asked.path
        return form if is_commit and (not next(commits) or stays) else None

    before_engine.fault = spoil
    with _transient() if stays else suppress(LakehouseError):
        read = delta.open_table(uri)
        assert read is not None
        assert read.version() == 1
    assert next(commits)


@FORMS
def test__read__file_that_is_cut_is_no_damaged_table(
    form: Spoilt, stored: Lakehouse, before_engine: S3Proxy
) -> None:
    uri = stored.uri_of(STEP_TRAINER_TRUSTED)
    before_engine.fault = _always(form, "GET", ".parquet")
    with _transient(), storage_faults(uri):
        stored.spark_session.read.format("delta").load(uri).collect()


@pytest.mark.parametrize("number", range(1, 7))
def test__write__one_listing_looks_empty(
    number: int, lakehouse: Lakehouse, before_engine: S3Proxy
) -> None:
    """The engine would append to the table that it did not see."""
    _write_two_versions(lakehouse)
    listings = itertools.count(1)

    def spoil(asked: Request) -> Spoilt | None:
        return Spoilt.HTML if "list-type" in asked.path and next(listings) == number else None

    before_engine.fault = spoil
    made = _frame(lakehouse, 3)
    uri = lakehouse.uri_of(STEP_TRAINER_TRUSTED)
    expected = [ROWS]
    try:
        written = writer.overwrite(uri, STEP_TRAINER_TRUSTED, made, Commit(run=str(number)), 1)
        assert written.rows == 3
    except LakehouseError as error:
        assert error.code.transient, error
        expected = [ROWS[:2], ROWS]
    before_engine.fault = lambda asked: None
    assert next(listings) > number
    fresh = Lakehouse(lakehouse.uri, lakehouse.spark)
    # Not by way of its history, for which delta-rs holds the lock that the proxy needs.
    assert rows(fresh.spark_session.read.format("delta").load(uri)) in expected
