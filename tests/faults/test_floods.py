"""Floods of connections: they disturb no honest peer, neither by their number nor by their speed."""

import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.support.byte_scripts import associate
from tests.support.byte_scu import ByteSCU
from tests.support.instances import instance
from tests.support.receiver import Receiver
from tests.support.seeds import is_large

QUICK = 5_000 if is_large() else 500
"""Associations one after the other, four at a time."""

BARE = 2_000 if is_large() else 400
"""Connections that say nothing, or half of a request."""


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("floods")) as running:
        yield running


def test_quick_associations_are_all_answered(receiver: Receiver) -> None:
    one = instance(1)

    def associated(_: int) -> str:
        try:
            with ByteSCU(receiver.scp_port) as scu:
                scu.associate_for(one, calling="QUICK")
                scu.release()
        except Exception as error:  # noqa: BLE001 (counted)
            return type(error).__name__
        return "answered"

    with ThreadPoolExecutor(4) as pool:
        assert Counter(pool.map(associated, range(QUICK))) == {"answered": QUICK}


@pytest.mark.parametrize("said", [b"", associate()[:40]], ids=["bare", "half-open"])
def test_connections_that_say_nothing_keep_nobody_out(receiver: Receiver, said: bytes) -> None:
    with ExitStack() as opened:
        for _ in range(BARE):
            silent = opened.enter_context(socket.create_connection(("127.0.0.1", receiver.scp_port)))
            silent.sendall(said)
        one = instance(2)
        with ByteSCU(receiver.scp_port) as scu:
            scu.associate_for(one, calling="HONEST")
            assert scu.store(one).status == 0
            scu.release()
