"""/readyz says what a receiver does with instances: refuses them, cannot begin, or meets a full volume."""

import errno
import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lapidicom.common.journal import records
from tests.support.byte_scu import ByteSCU
from tests.support.fuse_volume import FuseVolume, fuse_volume
from tests.support.instances import instance
from tests.support.journals import all_records
from tests.support.ledger import OUT_OF_RESOURCES, SUCCESS
from tests.support.polling import eventually
from tests.support.receiver import Receiver
from tests.support.requirements import not_allowed
from tests.support.seeds import is_large

REFUSALS = 6000 if is_large() else 100


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuseVolume]:
    with fuse_volume(tmp_path_factory.mktemp("fuse")) as mounted:
        yield mounted


@pytest.fixture
def volume(mounted: FuseVolume) -> Iterator[FuseVolume]:
    yield mounted
    for call in ("rename", "link", "write"):
        mounted.failing(call, None)


def degraded(receiver: Receiver) -> list[str]:
    """What /readyz says is wrong although it is ready."""
    status, body = receiver.get("/readyz")
    found: list[str] = json.loads(body)["degraded"]
    return found if status == 200 else []


def scratch_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.startswith(".try-") or path.suffix == ".part"]


def test_refusals_in_a_row_end_readiness_and_a_store_of_its_own_brings_it_back(
    tmp_path: Path, volume: FuseVolume
) -> None:
    """Nobody sends to a receiver that is not ready: it must find out by itself that it is well again."""
    instances = (instance(number) for number in itertools.count(1))
    one = instance(1)
    with (
        Receiver(tmp_path, files_root=volume.root / "refusing") as receiver,
        ByteSCU(receiver.scp_port) as scu,
    ):
        scu.associate_for(one)
        assert scu.store(next(instances)).status == SUCCESS
        assert receiver.reasons() == []
        volume.failing("rename", errno.EACCES)
        assert {scu.store(next(instances)).status for _ in range(REFUSALS)} == {OUT_OF_RESOURCES}
        assert eventually(receiver.reasons, what="it is not ready")[0].startswith("listener 0: ")
        eventually(lambda: "a store of its own failed" in receiver.reasons()[0], 20)
        assert "files cannot be renamed into SERVICES/PACS (Permission denied)" in receiver.reasons()[0]
        volume.failing("rename", None)
        eventually(lambda: receiver.reasons() == [], 20, what="a store of its own succeeds")
        assert records.STORE_TRIED in {record.kind for record in all_records(receiver.spool)}
        assert scu.store(next(instances)).status == SUCCESS
        scu.release()
        assert eventually(lambda: scratch_files(receiver.files_root) == [])


def test_one_folder_that_takes_no_files_leaves_the_receiver_ready(tmp_path: Path) -> None:
    """One patient's instances are refused; the volume takes those of all others."""
    bad, good = instance(1), instance(1, PatientID="other")
    with Receiver(tmp_path) as receiver, ByteSCU(receiver.scp_port) as scu:
        before = receiver.events("not_ready")  # while it was starting
        folder = receiver.files_root / bad.path("SCU")
        folder.parents[3].mkdir(parents=True)
        folder.parents[2].touch()
        scu.associate_for(bad, calling="SCU")
        for _ in range(30):
            assert scu.store(bad).status == OUT_OF_RESOURCES
            assert scu.store(good).status == SUCCESS
        assert receiver.reasons() == []
        assert receiver.events("not_ready") == before


def test_a_volume_without_hard_links_is_named_and_tried_again(tmp_path: Path, volume: FuseVolume) -> None:
    volume.failing("link", errno.EPERM)
    receiver = Receiver(tmp_path, files_root=volume.root / "unlinked")
    with receiver.start(ready=False):
        reason = receiver.wait_for("volume_unusable")["reason"]
        assert reason == (
            f"CHRIS_FILES_ROOT={receiver.files_root}, spool {receiver.spool}: "
            "link() fails (Operation not permitted): the volume has no hard links: "
            "use one that has them: a local file system, NFS or CephFS; not SMB, Azure Files or S3"
        )
        eventually(lambda: receiver.reasons() == [f"listener 0: {reason}"])
        receiver.wait_for("volume_unusable", count=3)
        assert receiver.reasons() == [f"listener 0: {reason}"], "whatever stage the next start is at"
        assert len(list((receiver.spool / "incoming").iterdir())) <= 1, "of the start that is under way"
        volume.failing("link", None)
        receiver.wait_for("ready")
        assert receiver.reasons() == []


@contextmanager
def another_mount(at: Path) -> Iterator[None]:
    if os.geteuid() != 0:
        not_allowed("only root can mount a file system")
    at.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(at)], capture_output=True, check=False)
    if done.returncode:
        not_allowed("a tmpfs cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def test_a_mount_below_the_storage_root_is_named(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    with another_mount(receiver.files_root / "SERVICES" / "PACS"), receiver.start(ready=False):
        reason = receiver.wait_for("volume_unusable")["reason"]
        assert reason.endswith(
            "SERVICES/PACS is another mount than SERVICES: files cannot be renamed into it: "
            "mount one volume at CHRIS_FILES_ROOT, and none below it"
        )
        assert "CHRIS_SPOOL_DIR" not in reason
        eventually(lambda: receiver.reasons() == [f"listener 0: {reason}"])


def test_a_full_volume_is_degraded_and_not_unready(tmp_path: Path, volume: FuseVolume) -> None:
    """Every receiver on the volume meets it: traffic would only go from one to the other."""
    instances = (instance(number) for number in itertools.count(1))
    with (
        Receiver(tmp_path, files_root=volume.root / "full") as receiver,
        ByteSCU(receiver.scp_port) as scu,
    ):
        before = receiver.events("not_ready")
        scu.associate_for(instance(1))
        volume.failing("write", errno.EDQUOT)
        assert {scu.store(next(instances)).status for _ in range(30)} == {OUT_OF_RESOURCES}
        (reason,) = eventually(lambda: degraded(receiver), what="it is degraded")
        assert reason.startswith("listener 0: ")
        assert receiver.reasons() == []
        receiver.wait_for("degraded")
        volume.failing("write", None)
        assert scu.store(next(instances)).status == SUCCESS
        eventually(lambda: degraded(receiver) == [])
        receiver.wait_for("degraded_no_longer")
        assert receiver.events("not_ready") == before
        scu.release()
