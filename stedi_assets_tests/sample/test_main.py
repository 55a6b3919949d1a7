"""`stedi sample` says what it refuses, and writes nothing then."""

from __future__ import annotations

from pathlib import Path

import pytest

from stedi_assets.cli import main


@pytest.mark.parametrize(
    "option",
    [
        ("--scale", "0"),
        ("--scale", "1.5"),
        ("--malformed", "1"),
        ("--duplicates", "-0.1"),
        ("--withdrawn", "nan"),
        ("--withdrawn", "few"),
        ("--seed", "x"),
    ],
)
def test__sample__refuses_an_option_out_of_range(
    option: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sample", "--out", str(tmp_path), *option])

    assert ended.value.code == 2
    assert option[0] in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["customer-000002.json", "mine.json", "mine.json.gz"])
def test__sample__refuses_to_mix_with_other_files(name: str, tmp_path: Path) -> None:
    other = tmp_path / "customer" / "landing" / name
    other.parent.mkdir(parents=True)
    other.write_text("{}\n")

    with pytest.raises(SystemExit, match=f"{other.parent} has 1 JSON files .*{name}"):
        main(["sample", "--out", str(tmp_path)])

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [other]
    assert other.read_text() == "{}\n"


def test__sample__reports_what_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="Not a directory"):
        main(["sample", "--out", str(tmp_path / "file")])
