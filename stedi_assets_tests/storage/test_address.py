"""Where a lakehouse may be, and that no other place can be named."""

from __future__ import annotations

from pathlib import Path

import pytest

from stedi_assets.errors import LakehouseError
from stedi_assets.storage import address


@pytest.mark.parametrize(
    "place",
    [
        *(f"/tmp/{name}" for name in ("my lakehouse", "100%", "a?b", "lake#1", "straße")),
        *("gs://bucket/lake", "s3a://bucket", "https://example.com/lake"),
        # The engine and boto3 would take these for different places.
        *("s3://bucket/../other", "s3://bucket/./a", "s3://bucket//a", "s3://"),
    ],
)
def test__address__that_cannot_be_used(place: str) -> None:
    with pytest.raises(LakehouseError, match="STEDI_LAKEHOUSE_URI"):
        address.as_uri(place)


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}", "{}/a/.."])
def test__address__in_any_form_of_a_folder(form: str, tmp_path: Path) -> None:
    assert address.as_uri(form.format(tmp_path / "lake")) == f"file://{tmp_path}/lake"


def test__address__relative_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert address.as_uri("lake") == f"file://{tmp_path}/lake"
