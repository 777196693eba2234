"""The volume is full, or another one, while SCUs send: refusals that an SCU understands, and nothing lost."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from tests.support.byte_scu import ByteSCU
from tests.support.failing_disk import failing_disk
from tests.support.instances import Instance, instance
from tests.support.ledger import OUT_OF_RESOURCES, SUCCESS
from tests.support.on_disk import temporary_files
from tests.support.polling import eventually
from tests.support.receiver import Receiver
from tests.support.tmpfs import PAGE, small_volume
from tests.support.whole_path import WholePath

SIZE = 18_000
PAGES = SIZE // PAGE + 1
"""Of an instance's file, with its header and File Meta."""


def series() -> Iterator[Instance]:
    return (instance(number, size=SIZE) for number in itertools.count(1))


def torn_segments(spool: Path) -> list[Path]:
    """Segments that end within a line, which is not being written just now."""
    segments = [*spool.glob("journals/2/*/*.log"), *spool.glob("journals/2/*/*.done")]
    return [one for one in segments if _last_byte(one) not in (b"", b"\n")]


def _last_byte(segment: Path) -> bytes:
    """Nothing of one that the relay has renamed or removed meanwhile."""
    try:
        return segment.read_bytes()[-1:]
    except FileNotFoundError:
        return b""


def test_a_journal_write_that_stops_half_way_is_followed_by_good_ones(tmp_path: Path, amqp_url: str) -> None:
    """Again and again there is room for an instance's data, but none for the journal's next page."""
    with (
        small_volume(tmp_path / "small", 24 << 20) as volume,
        WholePath(tmp_path, amqp_url, files_root=volume.root) as path,
    ):
        path.registrar()
        scu, instances = path.scu("FULL"), series()
        with path.receiver(CHRIS_MIN_FREE_SPACE="0") as receiver:
            refused = scu.send_once([next(instances)])
            while not torn_segments(path.spool):
                assert scu.ledger.sent < 200, "the journal took every write"
                volume.leave(PAGES)
                refused += scu.send_once([next(instances), next(instances)])
            assert receiver.events("journal_write_failed")
            volume.free()
            scu.send([*refused, next(instances)])
            statuses = scu.ledger.statuses()
            assert statuses.keys() == {SUCCESS, OUT_OF_RESOURCES}
            assert statuses[SUCCESS] + statuses[OUT_OF_RESOURCES] == scu.ledger.sent
            receiver.wait_for("journal_tail_torn")
            path.report(scu).check()
            assert eventually(lambda: temporary_files(path.spool) == [])
            assert receiver.reasons() == []


def test_disk_full_within_a_long_instance_is_answered_and_the_association_goes_on(
    tmp_path: Path, amqp_url: str
) -> None:
    with small_volume(tmp_path / "small", 8 << 20) as volume:
        long, short = instance(1, size=12 << 20), instance(2)
        with (
            Receiver(tmp_path, amqp_url, files_root=volume.root, CHRIS_MIN_FREE_SPACE="0") as receiver,
            ByteSCU(receiver.scp_port) as scu,
        ):
            scu.associate_for(long, short, calling="FULL")
            assert scu.store(long).status == OUT_OF_RESOURCES
            assert scu.store(short).status == SUCCESS
            scu.release()
            assert eventually(lambda: temporary_files(receiver.spool) == [])


def test_a_volume_that_is_another_one_takes_nothing_until_it_is_back(path: WholePath) -> None:
    scu = path.scu("SENTINEL")
    path.cube.let_duplicates_through()  # nothing excuses a repetition
    before, meanwhile, after = ([instance(number)] for number in (1, 2, 3))
    sentinel = path.spool / "volume-id"
    with path.receiver() as receiver:
        scu.send(before)
        sentinel.rename(path.spool / "moved")
        # Not at the next look only, but at once.
        assert scu.send_once(meanwhile) == meanwhile
        assert scu.ledger.answers[scu.path(meanwhile[0])] == [OUT_OF_RESOURCES]
        (reason,) = eventually(receiver.reasons, what="it is not ready")
        assert "volume is not the one of the start" in reason
        assert not (path.files_root / scu.path(meanwhile[0])).exists()
        (path.spool / "moved").rename(sentinel)
        receiver.wait_for("ready", count=2)
        scu.send([*meanwhile, *after])
        report = path.report(scu)
        report.check()
        assert len(report.registered) == 3
        assert receiver.stop() == 0  # killed, it might not have noted yet what it published last


def test_a_volume_that_becomes_read_only_takes_nothing_and_loses_nothing(
    tmp_path: Path, amqp_url: str
) -> None:
    """The kernel does so when a disk fails: open files of receiver and journal take no writes any more."""
    with (
        failing_disk(tmp_path, 32) as disk,
        WholePath(tmp_path, amqp_url, files_root=disk.root) as path,
    ):
        registrar = path.registrar()
        scu, instances = path.scu("READ_ONLY"), list(itertools.islice(series(), 12))
        with path.receiver() as receiver:
            scu.send(instances[:4])
            path.report(scu).check()  # the end of their series is durable
            disk.fail()
            assert scu.send_once(instances[4:8]) == instances[4:8]
            assert scu.ledger.statuses() == {SUCCESS: 4, OUT_OF_RESOURCES: 4}
            # The first call that fails may say something else (EIO); the heartbeat tries again.
            eventually(
                lambda: "Read-only file system" in " ".join(receiver.reasons()),
                what="it is not ready, and says why",
            )
            # What was acknowledged before is read and published all the same.
            report = path.report(scu)
            report.check()
            assert len(report.registered) == 4
            receiver.kill_whole()
        disk.unmount()
        disk.mount()  # repaired
        with path.receiver():
            scu.send(instances[4:])
            report = path.report(scu)
            report.check()
            assert len(report.registered) == 12
            assert report.dead_lettered == frozenset()
        assert registrar.events("registration_retried") == []


def test_free_space_below_the_setting_refuses_before_the_disk_is_full(tmp_path: Path) -> None:
    one = instance(1)
    with (
        small_volume(tmp_path / "small", 8 << 20) as volume,
        Receiver(tmp_path, files_root=volume.root, CHRIS_MIN_FREE_SPACE="4MiB") as receiver,
        ByteSCU(receiver.scp_port) as scu,
    ):
        scu.associate_for(one)
        volume.leave((3 << 20) // PAGE)
        (reason,) = receiver.wait_for("degraded")["reasons"]
        assert reason == "listener 0: free space below CHRIS_MIN_FREE_SPACE"
        assert receiver.reasons() == [], "no other receiver on this volume could do better"
        assert scu.store(one).status == OUT_OF_RESOURCES
        volume.free()
        receiver.wait_for("degraded_no_longer")
        assert scu.store(one).status == SUCCESS
