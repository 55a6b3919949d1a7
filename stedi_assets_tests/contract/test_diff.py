"""`stedi contract diff` compares with what a folder, a revision or git's history has given."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from stedi_assets import cli
from stedi_assets.contract import odcs
from stedi_assets.contract.odcs import contract_of
from stedi_assets.tables import TABLES

TABLE = TABLES["customer_trusted"]
# What the declarations of today lack.
FORMER = contract_of(TABLE).to_yaml().replace("name: phone", "name: landline")
BROKEN = "customer_trusted: column landline was removed"
Diff = Callable[..., tuple[list[str], str]]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository, the current folder, whose commits know nothing of the user's settings."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ada@example.com")
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    git("init", "--quiet")
    return folder


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)


def commit(former: str = "") -> None:
    """Commits the contracts of today, one of them as it was."""
    odcs.write(Path("contracts"))
    if former:
        Path("contracts", "customer_trusted.yaml").write_text(former)
    git("add", ".")
    git("commit", "--quiet", "--allow-empty", "--message", "Contracts")


@pytest.fixture
def diff(capsys: pytest.CaptureFixture[str]) -> Diff:
    """What the command prints, and the code of the fault that it ends with, if any."""

    def run(*arguments: str) -> tuple[list[str], str]:
        with pytest.raises(SystemExit) as end:
            cli.main(["contract", "diff", *arguments])
        code = str(end.value.code or "")
        return capsys.readouterr().out.splitlines(), code.partition("]")[0].lstrip("[")

    return run


def test__diff__nothing_changed(repository: Path, diff: Diff) -> None:
    commit()
    assert diff() == ([], "")


def test__diff__uncommitted_change(repository: Path, diff: Diff) -> None:
    commit(FORMER)
    odcs.write(Path("contracts"))  # as `make generate` does, which hides nothing
    assert diff() == ([BROKEN], "CONTRACT")


def test__diff__change_that_is_committed_with_its_contract(repository: Path, diff: Diff) -> None:
    commit(FORMER)
    commit()
    assert diff() == ([BROKEN], "CONTRACT")
    assert diff("--against", "HEAD") == ([], "")
    assert diff("--against", "HEAD~1") == ([BROKEN], "CONTRACT")


def test__diff__draft_of_the_past(repository: Path, diff: Diff) -> None:
    commit(FORMER.replace("version: 1.0.0", "version: 0.1.0"))
    commit()
    assert diff() == ([], "")


def test__diff__folder(repository: Path, diff: Diff) -> None:
    commit(FORMER)
    Path("contracts").rename("released")
    assert diff("--against", "released") == ([BROKEN], "CONTRACT")


@pytest.mark.parametrize(
    "arguments", [[], ["--against", "nowhere"], ["--against", "--all"], ["--against", "empty"]]
)
def test__diff__nothing_to_compare_with(repository: Path, diff: Diff, arguments: list[str]) -> None:
    Path("empty").mkdir()
    git("commit", "--quiet", "--allow-empty", "--message", "Nothing")
    assert diff(*arguments) == ([], "SETTING")


def test__diff__no_contract(repository: Path, diff: Diff) -> None:
    commit("A list: [of")
    assert diff("--against", "HEAD") == ([], "SETTING")
    commit("version: one")
    assert diff("--against", "contracts") == ([], "SETTING")


def test__diff__history_that_is_cut(
    repository: Path, diff: Diff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(FORMER)
    commit()
    git("clone", "--quiet", "--depth=1", f"file://{repository}", str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow")
    assert diff() == ([], "SETTING")


def test__diff__outside_of_git(diff: Diff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    assert diff() == ([], "SETTING")
