"""The page on hard data names tests that there are."""

import re

from stedi_assets_tests.conftest import PROJECT


def test__page__names_tests_that_there_are() -> None:
    page = (PROJECT / "docs" / "HARD_DATA.md").read_text()
    code = "".join(path.read_text() for path in (PROJECT / "stedi_assets_tests").rglob("test_*.py"))
    named = set(re.findall(r"test__\w+", page))
    assert named
    assert named <= set(re.findall(r"def (test__\w+)\(", code))
