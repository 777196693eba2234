"""SCUs that are cut off, fall silent or vanish at any place of an association: the others notice nothing."""

import struct
from collections.abc import Callable
from contextlib import ExitStack
from random import Random

from tests.support.byte_scripts import p_data, pdv, store_command
from tests.support.byte_scu import ByteSCU
from tests.support.cutting_proxy import CuttingProxy, Way
from tests.support.instances import Instance, instance
from tests.support.ledger import SUCCESS
from tests.support.on_disk import temporary_files
from tests.support.polling import eventually
from tests.support.processes import connections
from tests.support.resending_scu import ResendingSCU
from tests.support.seeds import rounds, seeded
from tests.support.whole_path import WholePath

SIZE = 50_000
SILENT_SECONDS = 2


class AssociationToBreakOff:
    """An association that will be broken off, and what the books say of its instance."""

    def __init__(self, scu: ByteSCU, one: Instance, books: ResendingSCU, rng: Random) -> None:
        self.scu = scu
        self.one = one
        self.rng = rng
        self._books = books

    def begin(self) -> None:
        """A-ASSOCIATE."""
        self.scu.associate_for(self.one, calling=self._books.calling)
        self._books.ledger.associated()

    def store(self) -> None:
        """A whole C-STORE with its answer."""
        self._books.ledger.begin(self._books.path(self.one), self.one)
        self._books.ledger.answer(self._books.path(self.one), self.scu.store(self.one).status)

    def send_command(self) -> int:
        """The command of a C-STORE; returns its presentation context."""
        self._books.ledger.begin(self._books.path(self.one), self.one)
        context = self.scu.context_for(self.one)
        self.scu.send(p_data(pdv(context, 3, store_command(1, self.one.sop_instance, self.one.sop_class))))
        return context


def before_a_word(_: AssociationToBreakOff) -> None:
    """Connected, and no more."""


def within_the_request(association: AssociationToBreakOff) -> None:
    association.scu.send(struct.pack(">BxI", 1, 5000)[: association.rng.randrange(1, 7)])


def behind_the_association(association: AssociationToBreakOff) -> None:
    association.begin()


def behind_an_instance(association: AssociationToBreakOff) -> None:
    association.begin()
    association.store()


def behind_the_command(association: AssociationToBreakOff) -> None:
    association.begin()
    association.send_command()


def within_the_data_set(association: AssociationToBreakOff) -> None:
    """Whole PDUs, but not all."""
    association.begin()
    context = association.send_command()
    data = association.one.data_set
    association.scu.send(p_data(pdv(context, 0, data[: association.rng.randrange(1, len(data))])))


def within_a_pdu(association: AssociationToBreakOff) -> None:
    """A PDU that promises more than comes."""
    association.begin()
    context = association.send_command()
    pdu = p_data(pdv(context, 2, association.one.data_set))
    association.scu.send(pdu[: association.rng.randrange(1, len(pdu))])


PLACES: list[Callable[[AssociationToBreakOff], None]] = [
    before_a_word,
    within_the_request,
    behind_the_association,
    behind_an_instance,
    behind_the_command,
    within_the_data_set,
    within_a_pdu,
]


def test_wherever_a_peer_is_lost_its_place_is_free_again_and_nothing_is_lost(path: WholePath) -> None:
    """By reset, by end, and without a word: a half-open connection is all that is left of a pulled cable."""
    places = len(PLACES) * len(Way)
    with path.receiver(
        CHRIS_LISTENER_THREADS=places,
        CHRIS_SCP_ACSE_TIMEOUT=SILENT_SECONDS,
        CHRIS_SCP_IDLE_TIMEOUT=SILENT_SECONDS,
        CHRIS_SCP_ADMISSION_WAIT=60,
    ) as receiver:
        for number in rounds(1, 10):
            rng = seeded(f"broken-off-{number}")
            broken = [instance(n, size=SIZE) for n in range(1, places + 1)]
            others = [instance(n, size=SIZE, series=2) for n in range(1, 11)]
            books, healthy = path.scu(f"BROKEN_OFF{number}"), path.scu(f"HEALTHY{number}")
            instances = iter(broken)
            with ExitStack() as stack:
                for way in Way:
                    proxy = stack.enter_context(CuttingProxy("127.0.0.1", receiver.scp_port))
                    for reach in PLACES:
                        scu = stack.enter_context(ByteSCU(proxy.port))
                        reach(AssociationToBreakOff(scu, next(instances), books, rng))
                    assert proxy.cut(way) == len(PLACES)
                # Every place was taken; those of the silent ones are free after the time-outs.
                healthy.send(others)
                eventually(lambda: connections(receiver.child()) == 0, 60, what="no connection is left")
                assert eventually(lambda: temporary_files(receiver.spool) == [])
                assert books.ledger.statuses() == {SUCCESS: len(Way)}
            books.send(broken)
            report = path.report(books, healthy)
            report.check()
            assert len(report.registered) == len(broken) + len(others)
            assert report.dead_lettered == frozenset()
            assert report.repeated == len(Way)  # sent again although they had been acknowledged
            assert receiver.reasons() == []
