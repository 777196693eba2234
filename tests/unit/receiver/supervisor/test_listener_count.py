"""How many listeners `auto` makes, by affinity, quota and memory in control groups; and their places."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapidicom.receiver.settings import ReceiverSettings
from lapidicom.receiver.supervisor.listener_count import Resources, listener_count, resources, shares

MIB = 1 << 20
REQUIRED = {"CHRIS_FILES_ROOT": "/data", "AMQP_URL": "amqp://broker/"}
V1_NO_LIMIT = "9223372036854771712\n"


@pytest.mark.parametrize(
    ("cores", "memory", "places", "count"),
    [
        (1, None, 16, 1),
        (2, None, 16, 2),
        (8, None, 16, 8),
        (96, None, 16, 8),
        (0.25, None, 16, 1),
        (1.5, None, 16, 2),
        (4, None, 3, 3),
        (8, 128 * MIB, 16, 1),
        (8, 288 * MIB, 16, 1),
        (8, 359 * MIB, 16, 1),
        (8, 360 * MIB, 16, 2),
        (8, 512 * MIB, 16, 4),
        (8, 1024 * MIB, 16, 8),
        (8, 1024 * MIB, 256, 4),
        (2, 1 << 62, 16, 2),
    ],
)
def test_as_many_listeners_as_cores_unless_memory_or_places_are_fewer(
    cores: float, memory: int | None, places: int, count: int
) -> None:
    assert listener_count(Resources(cores, memory), places) == count


def test_auto_is_the_default_and_an_integer_still_works() -> None:
    assert ReceiverSettings.model_validate(REQUIRED).listener_processes == "auto"
    for text, found in (("auto", "auto"), ("3", 3)):
        settings = ReceiverSettings.model_validate({**REQUIRED, "CHRIS_LISTENER_PROCESSES": text})
        assert settings.listener_processes == found
    for wrong in ("0", "65", "all", "1.5"):
        with pytest.raises(ValueError, match="CHRIS_LISTENER_PROCESSES"):
            ReceiverSettings.model_validate({**REQUIRED, "CHRIS_LISTENER_PROCESSES": wrong})


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


def made(root: Path, **files: str) -> Path:
    """A root with these files; `__` in a name stands for a slash."""
    for name, text in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert resources(tmp_path) == Resources(16, None)


@pytest.mark.parametrize(
    ("cpu", "memory", "found"),
    [
        ("200000 100000\n", "1073741824\n", Resources(2, 1 << 30)),
        ("max 100000\n", "max\n", Resources(16, None)),
        ("50000 100000\n", "max\n", Resources(0.5, None)),
        ("nonsense\n", "nonsense\n", Resources(16, None)),
        ("100000 0\n", "", Resources(16, None)),
    ],
)
def test_limits_of_version_2(tmp_path: Path, cpu: str, memory: str, found: Resources) -> None:
    root = made(tmp_path, proc__self__cgroup="0::/\n")
    group = root / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text(cpu)
    (group / "memory.max").write_text(memory)
    assert resources(root) == found


def test_the_least_limit_of_all_groups_above_counts(tmp_path: Path) -> None:
    root = made(tmp_path, proc__self__cgroup="0::/kubepods/pod1/container\n")
    for group, cpu, memory in (
        ("kubepods", "max 100000", "max"),
        ("kubepods/pod1", "300000 100000", str(512 * MIB)),
        ("kubepods/pod1/container", "400000 100000", str(1024 * MIB)),
    ):
        folder = root / "sys/fs/cgroup" / group
        folder.mkdir(parents=True)
        (folder / "cpu.max").write_text(cpu)
        (folder / "memory.max").write_text(memory)
    assert resources(root) == Resources(3, 512 * MIB)


@pytest.mark.parametrize("mounted", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize("is_namespaced", [True, False])
def test_limits_of_version_1(tmp_path: Path, mounted: str, is_namespaced: bool) -> None:
    """Without a namespace the path is the host's, and the container's own group is what is mounted."""
    path = "/" if is_namespaced else "/docker/0123"
    root = made(tmp_path, proc__self__cgroup=f"7:memory:{path}\n4:cpu,cpuacct:{path}\n1:name=x:{path}\n")
    cpu, memory = root / "sys/fs/cgroup" / mounted, root / "sys/fs/cgroup/memory"
    cpu.mkdir(parents=True)
    memory.mkdir()
    (cpu / "cpu.cfs_period_us").write_text("100000\n")
    (cpu / "cpu.cfs_quota_us").write_text("-1\n")
    (memory / "memory.limit_in_bytes").write_text(V1_NO_LIMIT)
    assert listener_count(resources(root), 16) == 8
    (cpu / "cpu.cfs_quota_us").write_text("250000\n")
    (memory / "memory.limit_in_bytes").write_text(f"{300 * MIB}\n")
    assert resources(root) == Resources(2.5, 300 * MIB)


@pytest.mark.parametrize(
    ("places", "processes", "expected"),
    [(16, 1, (16,)), (16, 2, (8, 8)), (16, 3, (6, 5, 5)), (3, 3, (1, 1, 1)), (5, 4, (2, 1, 1, 1))],
)
def test_shares_of_some_settings(places: int, processes: int, expected: tuple[int, ...]) -> None:
    assert shares(places, processes) == expected


@given(st.integers(1, 1024), st.integers(1, 64))
def test_no_place_is_lost_and_no_process_has_two_more_than_another(places: int, processes: int) -> None:
    shared = shares(places, processes)
    assert len(shared) == processes
    assert sum(shared) == places
    assert max(shared) - min(shared) <= 1
