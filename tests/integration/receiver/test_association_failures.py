"""An unexpected exception inside an association: A-ABORT to the peer, its place free, its end recorded."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
import structlog

from lapidicom.receiver.association.application_entity import ApplicationEntity
from lapidicom.receiver.association.association import Association
from lapidicom.receiver.association.counters import Tally
from lapidicom.receiver.association.places import Places
from lapidicom.receiver.association.store import StoreSCP
from lapidicom.receiver.upper_layer.negotiation import NegotiationPolicy
from tests.support.byte_scu import Aborted, ByteSCU
from tests.support.instances import Instance, instance

PROVIDER, NOT_SPECIFIED = 2, 0


class FailingStore:
    """A C-STORE SCP, of which one call raises what nobody expects."""

    def __init__(self, fails_at: str) -> None:
        self.ended: list[bool] = []
        self._fails_at = fails_at

    def open(self, *_: object) -> StoreSCP:
        self._happened("open")
        return cast("StoreSCP", self)

    def begin(self, *_: object) -> None:
        self._happened("begin")

    def feed(self, _: memoryview) -> None:
        self._happened("feed")

    def spill(self) -> None:
        pass

    def finish(self) -> None:
        self._happened("finish")

    def end(self, *, released: bool) -> None:
        self.ended.append(released)
        self._happened("end")

    def _happened(self, what: str) -> None:
        if what == self._fails_at:
            raise KeyError(what)


class Served:
    """One connection, served by a real `Association`."""

    def __init__(self, store: FailingStore) -> None:
        self.places = Places(1)
        self.tally = Tally()
        self.raised: BaseException | None = None
        self._entity = ApplicationEntity(
            policy=NegotiationPolicy(promiscuous=True, uncompressed_only=False),
            max_pdu_length=65536,
            strict=False,
            acse_timeout=20,
            idle_timeout=600,
            admission_wait=0,
            receiver_id="receiver-1",
            places=self.places,
            tally=self.tally,
            open_scp=store.open,
            log=structlog.get_logger(),
        )

    def run(self, sock: socket.socket) -> None:
        try:
            Association(sock, "192.0.2.1:104", self._entity).run()
        except Exception as error:  # noqa: BLE001 -- the test looks at it
            self.raised = error


@contextmanager
def serving(store: FailingStore) -> Iterator[tuple[ByteSCU, Served]]:
    """A connected SCU; at the end of the block the association has ended."""
    served = Served(store)
    with socket.create_server(("127.0.0.1", 0)) as server, ByteSCU(server.getsockname()[1]) as scu:
        sock, _ = server.accept()
        thread = threading.Thread(target=served.run, args=(sock,))
        thread.start()
        try:
            yield scu, served
        finally:
            scu.socket.close()
            thread.join(20)
    assert not thread.is_alive()


def associate(scu: ByteSCU, one: Instance) -> None:
    scu.associate_for(one)


def store(scu: ByteSCU, one: Instance) -> None:
    scu.associate_for(one)
    scu.store(one)


def release(scu: ByteSCU, one: Instance) -> None:
    scu.associate_for(one)
    scu.release()


@pytest.mark.parametrize(
    ("fails_at", "act", "ended"),
    [
        ("open", associate, []),
        ("begin", store, [False]),
        ("feed", store, [False]),
        ("finish", store, [False]),
        ("end", release, [True]),
    ],
)
def test_an_unexpected_exception_ends_with_an_abort_and_a_free_place(
    fails_at: str, act: Callable[[ByteSCU, Instance], None], ended: list[bool]
) -> None:
    failing = FailingStore(fails_at)
    with serving(failing) as (scu, served):
        with pytest.raises(Aborted) as aborted:
            act(scu, instance(size=200_000))
        assert aborted.value.args == (PROVIDER, NOT_SPECIFIED)
        assert served.places.in_use == 0
    assert failing.ended == ended
    assert served.raised is None
    assert served.tally.total().associations_aborted == 1


@pytest.mark.parametrize("leave", [ByteSCU.abort, ByteSCU.cut])
def test_a_failed_end_record_leaks_no_place_when_the_peer_goes(leave: Callable[[ByteSCU], Any]) -> None:
    failing = FailingStore("end")
    with serving(failing) as (scu, served):
        scu.associate_for(instance())
        assert served.places.in_use == 1
        leave(scu)
    assert failing.ended == [False]
    assert served.places.in_use == 0
    assert served.raised is None
