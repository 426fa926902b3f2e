"""How much memory this daemon may have: what the machine has, or less where a control group says so (v1 and v2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import psutil

PROC = Path("/proc/self/cgroup")
SYSFS = Path("/sys/fs/cgroup")
_V2_LIMITS = ("memory.max", "memory.high")
_V1_LIMITS = ("memory.limit_in_bytes",)


def total_bytes(machine_bytes: int, membership: Path = PROC, root: Path = SYSFS) -> int:
    """The least of what the machine has and of all limits on the way from this process's control group to the root.

    :param machine_bytes: the machine's memory.
    :param membership: which groups this process is in, as cgroups(7) describes ``/proc/[pid]/cgroup``.
    :param root: where control groups are mounted.
    """
    return min([machine_bytes, *_limits(membership, root)])


def _limits(membership: Path, root: Path) -> Iterator[int]:
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return  # a system without control groups
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            # On a hybrid system v2 is mounted beside the folders of v1.
            for mount in (root, root / "unified"):
                yield from _on_the_way(mount, path, _V2_LIMITS)
        elif "memory" in controllers.split(","):
            yield from _on_the_way(root / "memory", path, _V1_LIMITS)


def _on_the_way(mount: Path, path: str, names: tuple[str, ...]) -> Iterator[int]:
    # In a container the path may be that of the host, and only the root be there.
    group = mount / path.lstrip("/")
    for folder in [each for each in (group, *group.parents) if each.is_relative_to(mount)]:
        for name in names:
            limit = _read(folder / name)
            if limit is not None:
                yield limit


def _read(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None  # "max" is none


@attrs.frozen
class Memory:
    """What this daemon asks the system.

    :ivar total: bytes that it may have with all its children.
    :ivar own: bytes that its own process has.
    """

    total: Callable[[], int]
    own: Callable[[], int]


def system_memory() -> Memory:
    """As this machine has it."""
    return Memory(lambda: total_bytes(psutil.virtual_memory().total), lambda: psutil.Process().memory_info().rss)
