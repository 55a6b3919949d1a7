"""What the documents refer to is there."""

from __future__ import annotations

import re

import pytest

from stedi_assets_tests.conftest import PROJECT

DOCUMENTS = ["README.md", "SECURITY.md", "docs/THREAT_MODEL.md"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test__links__lead_to_files(document: str) -> None:
    path = PROJECT / document
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text())

    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []
