"""An SCU as a PACS is one: it keeps the books, and sends again what was not acknowledged."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from tests.support.byte_scu import Aborted, ByteSCU, Closed, Rejected
from tests.support.instances import Instance
from tests.support.ledger import OUT_OF_RESOURCES, Ledger

_PAUSE = 0.05
"""Seconds before the next association after one that failed."""


class ResendingSCU:
    """Sends instances by plain sockets, one association after the other.

    Args:
        ports: of the SCPs that can be sent to now; taken in turn.
        calling: AE title.
        patience: seconds for which an answer is waited for; then the association is given up.

    Attributes:
        ledger: what was tried and answered.
    """

    def __init__(self, ports: Callable[[], Sequence[int]], calling: str, *, patience: float = 15.0) -> None:
        self.calling = calling
        self.ledger = Ledger()
        self._ports = ports
        self._patience = patience
        self._turn = 0
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._paths: dict[int, str] = {}

    def send(
        self, instances: Iterable[Instance], *, per_association: int = 1000, seconds: float = 120
    ) -> None:
        """Send until each is acknowledged, or refused for a fault of its own.

        Args:
            instances: in their order.
            per_association: how many go into one.
            seconds: after which it must be done.

        Raises:
            AssertionError: it was not.
        """
        left = list(instances)
        deadline = time.monotonic() + seconds
        while left:
            left = self.send_once(left[:per_association]) + left[per_association:]
            if left and time.monotonic() > deadline:
                raise AssertionError(f"{len(left)} are not acknowledged after {seconds:g} s")

    def send_once(self, instances: Sequence[Instance]) -> list[Instance]:
        """Send them in one association; returns those to be sent again."""
        left = list(instances)
        again = []
        try:
            with ByteSCU(self._port()) as scu:
                scu.socket.settimeout(self._patience)
                scu.associate_for(*left, calling=self.calling)
                self.ledger.associated()
                while left:
                    if self._store(scu, left[0]) == OUT_OF_RESOURCES:
                        again.append(left[0])
                    del left[0]
                scu.release()
        except (OSError, Rejected, Aborted, Closed):
            time.sleep(_PAUSE)
        return left + again

    def start(
        self, instances: Iterable[Instance], *, per_association: int = 1000, seconds: float = 120
    ) -> None:
        """The same as `send`, beside the test; `join` waits for its end."""

        def run() -> None:
            try:
                self.send(instances, per_association=per_association, seconds=seconds)
            except BaseException as error:  # noqa: BLE001 (raised by `join`)
                self._failure = error

        self._thread = threading.Thread(target=run, name=f"SCU {self.calling}", daemon=True)
        self._thread.start()

    @property
    def is_sending(self) -> bool:
        """Whether what `start` began goes on."""
        return self._thread is not None and self._thread.is_alive()

    def join(self, seconds: float = 130) -> None:
        """Wait until what `start` began, if anything, has ended."""
        if self._thread is not None:
            self._thread.join(seconds)
        assert not self.is_sending, f"{self.calling} is still sending"
        if self._failure is not None:
            raise self._failure

    def path(self, instance: Instance) -> str:
        """Where an instance of this SCU is filed."""
        return self._paths.setdefault(id(instance), instance.path(self.calling))

    def _port(self) -> int:
        ports = self._ports()
        if not ports:
            raise ConnectionRefusedError
        self._turn += 1
        return ports[self._turn % len(ports)]

    def _store(self, scu: ByteSCU, instance: Instance) -> int:
        path = self.path(instance)
        self.ledger.begin(path, instance)
        status = scu.store(instance, pdu_length=scu.max_length or 1 << 20).status
        self.ledger.answer(path, status)
        return status
