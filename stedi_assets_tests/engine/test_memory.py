"""The memory that a process may take, in a container and out of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from stedi_assets.engine import memory

MACHINE = memory.available(Path("nowhere"), Path("nowhere"))


@pytest.mark.parametrize(
    ("own", "limits", "expected"),
    [
        pytest.param("0::/", {"memory.max": "1000000"}, 1_000_000, id="container"),
        pytest.param("0::/", {"memory.max": "max"}, MACHINE, id="container_without_a_limit"),
        pytest.param("0::/a/b", {"a/b/memory.max": "2000"}, 2_000, id="group"),
        pytest.param("0::/a", {"b/memory.max": "2000"}, MACHINE, id="limit_of_another_group"),
        pytest.param(
            "4:memory:/a\n3:cpu:/c",
            {"memory/a/memory.limit_in_bytes": "3000", "memory/c/memory.limit_in_bytes": "1"},
            3_000,
            id="version_1",
        ),
        pytest.param(
            "4:memory:/docker/a",
            {"memory/memory.limit_in_bytes": "4000"},
            4_000,
            id="version_1_container",
        ),
        pytest.param(
            "4:memory:/",
            {"memory/memory.limit_in_bytes": "9223372036854771712"},
            MACHINE,
            id="version_1_without_a_limit",
        ),
    ],
)
def test__available__cgroups(
    tmp_path: Path, own: str, limits: dict[str, str], expected: int
) -> None:
    (tmp_path / "own").write_text(own + "\n")
    for name, limit in limits.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(limit + "\n")

    assert memory.available(tmp_path, tmp_path / "own") == expected


def test__available__of_this_machine() -> None:
    assert 100 << 20 < memory.available() <= MACHINE
