"""Connections cut between every pair, at any byte, by reset, end and silence: it is all made good."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import pytest

from tests.support.cutting_proxy import CuttingProxy, proxy_of, seeded_cuts, through, with_query
from tests.support.instances import Instance, instance
from tests.support.receiver import Receiver
from tests.support.registrar.__main__ import Options
from tests.support.registrar.process import RegistrarProcess
from tests.support.resending_scu import ResendingSCU
from tests.support.seeds import is_large, rounds, seeded
from tests.support.whole_path import WholePath

COUNT = 60
SIZE = 20_000

SCU, RELAY, REGISTRAR, CUBE = "SCU", "RELAY", "REGISTRAR", "CUBE"
BYTES = {
    SCU: (50, COUNT * SIZE // 3),
    RELAY: (500, 30_000),
    REGISTRAR: (500, 20_000),
    CUBE: (1, 1_000),
}
"""Within which a connection is cut, by the side that opens it. The registrar has two to RabbitMQ, and one to
CUBE for each request; RabbitMQ's handshake and the look at the topology take some thousand bytes."""


class CutPath:
    """Receiver and registrar of a path, with a proxy before each server that a pair is cut at."""

    def __init__(self, path: WholePath, pairs: set[str], rng: Random, cuts: int) -> None:
        self._path = path
        self.proxies: dict[str, CuttingProxy] = {}
        self._cuts = {pair: seeded_cuts(rng, cuts, *BYTES[pair]) if pair in pairs else [] for pair in BYTES}

    @contextmanager
    def running(self) -> Iterator[tuple[Receiver, RegistrarProcess]]:
        """Start it all; end it at the end of the block."""
        path, cuts = self._path, self._cuts
        url = with_query(path.amqp_url, "heartbeat=1")  # silence is heard soon
        with ExitStack() as stack:
            for pair, target in ((RELAY, url), (REGISTRAR, url), (CUBE, path.cube.url)):
                self.proxies[pair] = stack.enter_context(proxy_of(target, cuts[pair]))
            registrar = path.registrar(
                Options(pace={"read": 1}),
                ready=False,
                AMQP_URL=through(url, self.proxies[REGISTRAR].port),
                CHRIS_URL=through(path.cube.url, self.proxies[CUBE].port),
                CHRIS_HTTP_RETRIES="20",
            )
            stack.callback(registrar.kill)
            receiver = stack.enter_context(
                path.receiver(
                    amqp_url=through(url, self.proxies[RELAY].port),
                    ready=False,
                    CHRIS_SCP_IDLE_TIMEOUT="2",
                )
            )
            scp = CuttingProxy("127.0.0.1", receiver.scp_port, cuts[SCU])
            self.proxies[SCU] = stack.enter_context(scp)
            yield receiver, registrar

    def scu(self, calling: str) -> ResendingSCU:
        """An SCU that sends by way of the proxy."""
        return self._path.scu(calling, patience=2, port=self.proxies[SCU].port)


def instances(first: int) -> list[Instance]:
    return [instance(number, size=SIZE) for number in range(first, first + COUNT)]


PAIRS = {
    "every pair at once": {SCU, RELAY, REGISTRAR, CUBE},
    "SCU and receiver": {SCU},
    "relay and RabbitMQ": {RELAY},
    "registrar and RabbitMQ": {REGISTRAR},
    "registrar and CUBE": {CUBE},
}


@pytest.mark.parametrize("pairs", list(PAIRS) if is_large() else ["every pair at once"])
def test_what_is_cut_is_sent_again_and_nothing_is_lost(tmp_path: Path, amqp_url: str, pairs: str) -> None:
    with WholePath(tmp_path, amqp_url) as path:
        for number in rounds(1, 4):
            rng = seeded(f"cut-{pairs}-{number}")
            cut = CutPath(path, PAIRS[pairs], rng, cuts=6 if is_large() else 3)
            with cut.running() as (receiver, registrar):
                scu = cut.scu(f"CUT{number}")
                # In an outage of CUBE what is in hand goes onward: by the registrar's other connection.
                path.cube.control.fail(503, count=8, path_contains="SERVICES/PACS")
                scu.send(instances(1 + number * COUNT), per_association=25)
                report = path.report(scu, seconds=90)
                report.check()
                assert len(report.registered) == COUNT
                assert report.dead_lettered == frozenset()
                happened = {pair: len(proxy.happened) for pair, proxy in cut.proxies.items()}
                print(f"cut: {happened}")
                assert {pair for pair, times in happened.items() if times} == PAIRS[pairs]
                # An attempt is spent only by a CUBE that is well and cut the answer off.
                assert len(registrar.events("registration_retried")) <= happened[CUBE]
                assert receiver.events("listener_failed") == []
