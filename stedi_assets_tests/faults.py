"""Faults by their code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stedi_assets.errors import Code, LakehouseError


@contextmanager
def raises(code: Code) -> Iterator[pytest.ExceptionInfo[LakehouseError]]:
    """Expects a fault with a code, as `pytest.raises` expects an exception."""
    with pytest.raises(LakehouseError) as raised:
        yield raised
    assert raised.value.code is code, raised.value
