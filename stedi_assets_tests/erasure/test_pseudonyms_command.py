"""`make pseudonyms` turns addresses into what the job takes."""

from __future__ import annotations

import io

import pytest

from stedi_assets.erasure import __main__ as command
from stedi_assets_tests.rows import PSEUDONYMS


def test__main__reads_addresses_however_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STEDI_PSEUDONYM_KEY", PSEUDONYMS.key)
    monkeypatch.setattr("sys.stdin", io.StringIO(" Ann@Example.com\n\nbob@example.com"))

    assert command.main() == 0

    expected = [PSEUDONYMS.of_text(person) for person in ("ann@example.com", "bob@example.com")]
    assert capsys.readouterr().out.splitlines() == expected


def test__main__no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEDI_PSEUDONYM_KEY", "")
    monkeypatch.setattr("sys.stdin", io.StringIO("ann@example.com"))
    with pytest.raises(SystemExit, match="in STEDI_PSEUDONYM_KEY"):
        command.main()


@pytest.mark.parametrize(
    "line", ["Ann Archer", "ann@", "@example.com", "ann@example.com bob@example.com", "a@b@c"]
)
def test__main__no_address(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says which line, not what it holds; no pseudonym is printed."""
    monkeypatch.setenv("STEDI_PSEUDONYM_KEY", PSEUDONYMS.key)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"ann@example.com\n\n{line}\n"))

    with pytest.raises(SystemExit) as exit:
        command.main()

    assert exit.value.code == "Line 3 is no e-mail address. Write one address a line."
    assert capsys.readouterr().out == ""
