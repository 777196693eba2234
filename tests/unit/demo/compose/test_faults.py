"""The user of the PACS in `make compose-faults`: nothing is safe that was not answered with success."""

from collections import Counter
from collections.abc import Sequence

from demo.compose.faults import SERIES_SIZE, Sender
from demo.compose.pacs import CALLING_AET, PacsError
from demo.compose.study import new_study
from tests.support.instances import Instance
from tests.support.ledger import Ledger
from tests.support.polling import eventually


class Books:
    """In memory."""

    def __init__(self) -> None:
        self.ledger = Ledger()

    def begin(self, instances: list[Instance]) -> None:
        for one in instances:
            self.ledger.begin(one.path(CALLING_AET), one)

    def acknowledged(self, instances: list[Instance]) -> None:
        for one in instances:
            self.ledger.answer(one.path(CALLING_AET), 0)


class Pacs:
    """Fails the first upload and the first two orders of each series."""

    def __init__(self) -> None:
        self.uploads = 0
        self.orders: Counter[tuple[str, ...]] = Counter()

    def take(self, file: bytes) -> str:
        self.uploads += 1
        if self.uploads == 1:
            raise PacsError("away")
        return f"{self.uploads}-{len(file)}"

    def send(self, names: Sequence[str]) -> None:
        self.orders[tuple(names)] += 1
        if self.orders[tuple(names)] < 3:
            raise PacsError("0xA700")


def test_an_order_is_given_until_it_is_carried_out_and_only_then_its_instances_are_safe() -> None:
    books, pacs = Books(), Pacs()
    sender = Sender(pacs, books, new_study(), pause=0.01)  # type: ignore[arg-type]
    sender.start()
    eventually(lambda: sender.series >= 1)
    sender.finish()
    assert not sender.is_alive
    assert set(pacs.orders.values()) == {3}
    assert len(books.ledger.acknowledged) == sender.series * SERIES_SIZE
    assert books.ledger.sent == 3 * len(books.ledger.acknowledged)
    assert sender.failures == 1 + 2 * sender.series
