"""The books of a run, in Jepsen's words: what was attempted, acknowledged, registered, and what was lost."""

import re
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tests.support.instances import Instance

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700


class Ledger:
    """What SCUs tried and were answered, by path of the instance. Used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.instances: dict[str, Instance] = {}
        """Every one of which at least a byte may have been sent."""
        self.answers: dict[str, list[int]] = {}
        self.sent = 0
        """C-STOREs begun: one instance may have been sent several times."""
        self.associations = 0

    def associated(self) -> None:
        """An association was established."""
        with self._lock:
            self.associations += 1

    def begin(self, path: str, instance: Instance) -> None:
        """A C-STORE begins."""
        with self._lock:
            self.instances[path] = instance
            self.sent += 1

    def answer(self, path: str, status: int) -> None:
        """It was answered."""
        with self._lock:
            self.answers.setdefault(path, []).append(status)

    @property
    def acknowledged(self) -> set[str]:
        """Answered 0x0000 at least once: these must not be lost."""
        with self._lock:
            return {path for path, statuses in self.answers.items() if SUCCESS in statuses}

    def statuses(self) -> Counter[int]:
        """All answers."""
        with self._lock:
            return Counter(status for statuses in self.answers.values() for status in statuses)


_NUMBER = re.compile(r"([a-z-]+) (\d+)")

COUNTS = (
    "attempted",
    "acknowledged",
    "registered",
    "dead-lettered",
    "lost",
    "duplicated",
    "repeated",
    "recovered",
)
"""The words of a report, in their order."""


def counts_of(line: str) -> dict[str, int] | None:
    """The numbers of a printed report by their words; None if the line is none."""
    found = {word: int(number) for word, number in _NUMBER.findall(line)}
    return found if found.keys() >= set(COUNTS) else None


@dataclass(frozen=True)
class Report:
    """How a run came out; every set holds paths.

    Attributes:
        attempted: sent, whatever came of it.
        acknowledged: answered 0x0000.
        published: of which a message was seen in RabbitMQ.
        registered: how often CUBE registered each: by its rows, or its answers 201, whichever are more.
        repeated: how often CUBE refused one that it had registered.
        dead_lettered: in the dead-letter queue.
        differing: acknowledged, and on the disk other bytes than the SCU had, or none.
        unended: series (association id, SeriesInstanceUID) with a published instance and no SeriesReceived.
        sent: C-STOREs.
        associations: established ones.
    """

    attempted: Collection[str]
    acknowledged: frozenset[str]
    published: frozenset[str]
    registered: Mapping[str, int]
    repeated: int
    dead_lettered: frozenset[str]
    differing: frozenset[str]
    unended: frozenset[tuple[str, str]]
    sent: int
    associations: int

    @property
    def lost(self) -> frozenset[str]:
        """Acknowledged, and neither registered nor a dead letter."""
        return self.acknowledged - self.registered.keys() - self.dead_lettered

    @property
    def duplicated(self) -> frozenset[str]:
        """Registered more than once."""
        return frozenset(path for path, times in self.registered.items() if times > 1)

    @property
    def recovered(self) -> frozenset[str]:
        """Never acknowledged, and registered all the same: their files are whole."""
        return frozenset(self.registered.keys() - self.acknowledged)

    @property
    def unexpected(self) -> frozenset[str]:
        """Registered, and never sent."""
        return frozenset(self.registered.keys() - set(self.attempted))

    def __str__(self) -> str:
        whole = len(self.acknowledged - self.differing)
        return (
            f"attempted {len(self.attempted)}, acknowledged {len(self.acknowledged)}, "
            f"registered {len(self.registered)}, dead-lettered {len(self.dead_lettered)}, "
            f"lost {len(self.lost)}, duplicated {len(self.duplicated)}, repeated {self.repeated}, "
            f"recovered {len(self.recovered)}, unexpected {len(self.unexpected)}; "
            f"byte-equal {whole}, sent {self.sent} times in {self.associations} associations"
        )

    def check(self) -> None:
        """The guarantees: nothing lost, nothing twice, nothing changed, every series ended."""
        assert not self.lost, f"{self}; of the lost ones published: {self.lost & self.published}; {self.lost}"
        assert not self.duplicated, f"{self}; {self.duplicated}"
        assert not self.unexpected, f"{self}; {self.unexpected}"
        assert not self.differing, f"{self}; {self.differing}"
        assert not self.unended, f"{self}; series without SeriesReceived: {self.unended}"
