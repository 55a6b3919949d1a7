"""How much memory this process may take."""

from __future__ import annotations

import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def available(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> int:
    """The machine's memory in bytes, or the limit of this process's container if that is lower.

    Args:
        cgroups: Where Linux shows control groups, of version 1 or 2.
        own: Where it shows which of them this process is in.
    """
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for line in own.read_text().splitlines() if own.exists() else []:
        _, controllers, group = line.split(":", 2)
        for limit in (
            # A container sees its own group as the root, whatever the group's name outside.
            cgroups / "memory.max",
            cgroups / group.strip("/") / "memory.max",
            cgroups / "memory" / "memory.limit_in_bytes",
            cgroups / "memory" / group.strip("/") / "memory.limit_in_bytes",
        ):
            of_memory = controllers in ("", "memory")
            if of_memory and limit.exists() and (said := limit.read_text().strip()).isdecimal():
                limits.append(int(said))
    return min(limits)
