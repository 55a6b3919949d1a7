"""The moto server's own life: it answers inside its block and is gone after it."""

from __future__ import annotations

import sys
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from stedi_assets_tests.moto_server import moto_server


def test__moto_server__ends_with_its_block():
    with moto_server() as endpoint, urlopen(f"{endpoint}/moto-api/data.json") as answer:
        assert answer.status == 200
    with pytest.raises(URLError, match="refused"):
        urlopen(f"{endpoint}/moto-api/data.json")


def test__moto_server__says_why_it_did_not_start(monkeypatch):
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(RuntimeError, match="did not start"), moto_server():
        pass
