"""How many listener processes, with how many places: a listener for each core that the container may use.

An association is one thread, and the threads of a process share one interpreter lock: a second core helps
only a second process (docs/benchmark-results.md).
"""

import contextlib
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOST: Final = 8
"""The disk, or the network, is the limit long before more cores are busy."""

_MIB: Final = 1 << 20
_FIRST_BYTES: Final = 256 * _MIB
"""Supervisor, relay and the first listener, with room for what they hold in hand."""
_FURTHER_BYTES: Final = 72 * _MIB
"""Each further listener (`make bench BENCH=memory`)."""
_PLACE_BYTES: Final = 2 * _MIB
"""Each association: its buffer and its thread."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What this process and its children may use, all together.

    Attributes:
        cores: a fraction if a quota says so.
        memory: bytes; None without a limit.
    """

    cores: float
    memory: int | None = None


def listener_count(resources: Resources, places: int) -> int:
    """How many listener processes serve best.

    Args:
        resources: of the container.
        places: associations served at once, by all listeners together; each listener needs one.
    """
    count = min(math.ceil(resources.cores), MOST, places)
    if resources.memory is not None:
        left = resources.memory - _FIRST_BYTES - places * _PLACE_BYTES
        count = min(count, 1 + left // _FURTHER_BYTES)
    return max(count, 1)


def shares(places: int, processes: int) -> tuple[int, ...]:
    """Places of each process: as even as can be, together exactly `places`."""
    each, rest = divmod(places, processes)
    return tuple(each + (index < rest) for index in range(processes))


def resources(root: Path = Path("/")) -> Resources:
    """What affinity and control groups (v1 and v2) allow. What cannot be read limits nothing.

    Args:
        root: below which /proc and /sys are; tests give another.
    """
    groups = list(_groups(root))
    quotas = [quota for group in groups if (quota := _quota(group)) is not None]
    limits = [limit for group in groups if (limit := _memory_limit(group)) is not None]
    return Resources(min([float(len(os.sched_getaffinity(0))), *quotas]), min(limits, default=None))


def _groups(root: Path) -> Iterator[Path]:
    """The control groups of this process, each with those above it: the least of their limits counts.

    In a container the path may be the host's, and only its end, or nothing of it, be mounted.
    """
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for folder in _mounts(mount, controllers):
            group = folder / path.strip("/")
            while group != folder:
                yield group
                group = group.parent
            yield folder


def _mounts(mount: Path, controllers: str) -> Iterable[Path]:
    """Where the hierarchy with these controllers may be mounted; no controllers: that of version 2."""
    if not controllers:
        return (mount, mount / "unified")
    return (mount / controllers, *(mount / one for one in ("cpu", "memory") if one in controllers.split(",")))


def _quota(group: Path) -> float | None:
    """Cores that the group may use: CPU time in each period (cpu.max, or cpu.cfs_* in version 1)."""
    quota, _, period = _text(group / "cpu.max").strip().partition(" ")
    if not quota:
        quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
    with contextlib.suppress(ValueError, ZeroDivisionError):  # `max`: no limit
        found = int(quota) / int(period)
        return found if found > 0 else None  # -1: no limit
    return None


def _memory_limit(group: Path) -> int | None:
    """Bytes that the group may use (memory.max, or memory.limit_in_bytes in version 1)."""
    with contextlib.suppress(ValueError):
        return int(_text(group / "memory.max") or _text(group / "memory.limit_in_bytes"))
    return None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
