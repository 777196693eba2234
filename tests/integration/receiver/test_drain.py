"""SIGTERM while associations are open: they end by themselves within the grace, or are aborted."""

import os
import signal
import threading
from pathlib import Path

from pynetdicom import evt
from pynetdicom.association import Association

from tests.support import scus
from tests.support.instances import instance
from tests.support.polling import eventually
from tests.support.receiver import Receiver


def associate(receiver: Receiver) -> Association:
    """An established association, of which the listener knows."""
    association = scus.pynetdicom_associate(receiver.scp_port, "DRAINED", [instance()])
    receiver.wait_for("association_accepted", calling="DRAINED")
    return association


def abort_of(association: Association) -> threading.Event:
    """Is set when the SCP's A-ABORT has come."""
    aborted = threading.Event()
    association.bind(evt.EVT_ABORTED, lambda _: aborted.set())
    return aborted


def test_an_open_association_goes_on_after_sigterm_and_its_instances_are_stored(
    tmp_path: Path, amqp_url: str
) -> None:
    with Receiver(tmp_path, amqp_url, CHRIS_SHUTDOWN_GRACE=60) as receiver:
        association = associate(receiver)
        receiver.terminate()
        receiver.wait_for("draining")
        sent = instance(7)
        status = association.send_c_store(sent.write(tmp_path / "sent"))
        association.release()
        assert status.Status == 0x0000
        assert receiver.wait() == 0
        assert (receiver.files_root / sent.path("DRAINED")).exists()
        stopped = receiver.wait_for("stopped")
        assert (stopped["associations"], stopped["instances_stored"]) == (1, 1)
        assert stopped["associations_aborted"] == 0
        assert stopped["messages_published"] >= 2  # the instance, and the end of its series


def test_an_association_that_outlives_the_grace_is_aborted(tmp_path: Path, amqp_url: str) -> None:
    with Receiver(tmp_path, amqp_url, CHRIS_SHUTDOWN_GRACE=1) as receiver:
        aborted = abort_of(associate(receiver))
        assert receiver.stop() == 0
        assert aborted.wait(5)
        assert receiver.wait_for("stopped")["associations_aborted"] == 1


def test_a_second_sigterm_cuts_the_grace(tmp_path: Path, amqp_url: str) -> None:
    with Receiver(tmp_path, amqp_url, CHRIS_SHUTDOWN_GRACE=600) as receiver:
        aborted = abort_of(associate(receiver))
        receiver.terminate()
        receiver.wait_for("draining")
        assert not aborted.is_set()
        receiver.terminate()
        assert receiver.wait() == 0
        assert aborted.wait(5)


def test_a_newcomer_that_waits_for_a_place_is_rejected_at_once(tmp_path: Path, amqp_url: str) -> None:
    settings = {"CHRIS_SHUTDOWN_GRACE": 600, "CHRIS_LISTENER_THREADS": 1, "CHRIS_SCP_ADMISSION_WAIT": 300}
    with Receiver(tmp_path, amqp_url, **settings) as receiver:
        first = associate(receiver)
        threads = Path(f"/proc/{receiver.child()}/task")
        before = len(list(threads.iterdir()))
        waiting = scus.start("echoscu", receiver.scp_port, "LATE", [])
        eventually(lambda: len(list(threads.iterdir())) > before, what="the newcomer waits in a thread")
        receiver.terminate()
        rejected = receiver.wait_for("association_rejected")
        assert (rejected["result"], rejected["source"], rejected["reason"]) == (2, 3, 2)
        first.release()
        assert receiver.wait() == 0
        assert waiting.communicate(timeout=20) is not None


def test_a_listener_that_does_not_drain_is_killed(tmp_path: Path, amqp_url: str) -> None:
    with Receiver(tmp_path, amqp_url, CHRIS_SHUTDOWN_GRACE=0) as receiver:
        listener = receiver.child()
        os.kill(listener, signal.SIGSTOP)
        assert receiver.stop() == 0
        assert receiver.wait_for("child_killed")["child"] == listener
