"""The command that writes a sample says what it refuses, and writes nothing then."""

from __future__ import annotations

from pathlib import Path

import pytest

from stedi_assets.sample.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scale", "0"], "'0' is not a whole number of at least 1"),
        (["--scale", "1.5"], "'1.5' is not a whole number of at least 1"),
        (["--scale", "-1"], "'-1' is not a whole number of at least 1"),
        (["--malformed", "1"], "'1' is not a fraction of at least 0 and below 1"),
        (["--duplicates", "-0.1"], "'-0.1' is not a fraction of at least 0 and below 1"),
        (["--withdrawn", "nan"], "'nan' is not a fraction of at least 0 and below 1"),
        (["--withdrawn", "few"], "'few' is not a fraction of at least 0 and below 1"),
        (["--seed", "x"], "invalid int value: 'x'"),
    ],
)
def test__main__refuses_an_option_out_of_range(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--out", str(tmp_path), *arguments])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["customer-000002.json", "mine.json", "mine.json.gz"])
def test__main__refuses_to_mix_with_other_files(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "customer" / "landing" / name
    other.parent.mkdir(parents=True)
    other.write_text("{}\n")
    assert main(["--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{other.parent} has 1 JSON files" in error
    assert name in error
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [other]
    assert other.read_text() == "{}\n"


def test__main__says_what_it_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["--out", str(tmp_path / "file")]) == 2
    assert "Not a directory" in capsys.readouterr().err
