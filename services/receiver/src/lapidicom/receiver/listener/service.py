"""What a listener serves: associations over one volume and one journal, and how they are."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict

from lapidicom.common.journal import records
from lapidicom.common.telemetry import Tracing
from lapidicom.receiver.association.application_entity import ApplicationEntity
from lapidicom.receiver.association.association import Association
from lapidicom.receiver.association.counters import Counters
from lapidicom.receiver.control import Connection
from lapidicom.receiver.journal.writer import Journal
from lapidicom.receiver.listener.health import HANG, StoreHangs, StoreHealth, VolumeWatch
from lapidicom.receiver.storage.refusals import Refusals
from lapidicom.receiver.storage.volume import Volume


class ListenerService:
    """Store, journal and upper layer of one listener.

    Args:
        volume: the storage root.
        journal: the journal of this life.
        refusals: for want of resources.
        entity: what all associations share.
        store_timeout: CHRIS_STORE_TIMEOUT, seconds.
        remove_markers: removes the open markers that could not be removed when it was time.
        tracing: of this process, if it makes traces.
    """

    def __init__(
        self,
        volume: Volume,
        journal: Journal,
        refusals: Refusals,
        entity: ApplicationEntity,
        store_timeout: float,
        remove_markers: Callable[[], None],
        tracing: Tracing | None = None,
    ) -> None:
        self._volume = volume
        self._journal = journal
        self._entity = entity
        self._tracing = tracing
        self._remove_markers = remove_markers
        self._health = StoreHealth(refusals, lambda: entity.tally.total().instances_stored, self._try_store)
        self._watch = VolumeWatch(self._look)
        self._hangs = StoreHangs(store_timeout)

    def handler(self, sock: socket.socket, peer: Connection) -> Association:
        """Make what serves a connection; it closes the socket at its end."""
        return Association(sock, peer.address, self._entity)

    def look_for_hangs(self, handlers: Mapping[int, Association]) -> None:
        """Give up those, by number of the connection, whose threads the volume has held up for too long."""
        stuck = self._hangs.look({number: handler.work for number, handler in handlers.items()})
        self._volume.hang = self._hangs.fault
        for number in stuck:
            handlers[number].give_up(HANG.refusal())

    def journal(self) -> str:
        """Name of the folder of the present journal."""
        return self._journal.folder

    def fault(self) -> str | None:
        """Why it takes no instances while another process might; None if it does."""
        volume, journal = self._volume.fault, self._journal
        return (
            self._hangs.reason
            or self._watch.fault()
            or (volume.reason if volume is not None and not volume.is_shared else None)
            or (journal.fault if not journal.lacks_space else None)
            or self._health.fault
        )

    def degraded(self) -> str | None:
        """What is wrong and would be so for every process on this volume; None if nothing is."""
        volume, journal = self._volume.fault, self._journal
        return (
            (volume.reason if volume is not None and volume.is_shared else None)
            or (journal.fault if journal.lacks_space else None)
            or self._health.degraded
        )

    def _look(self) -> bool:
        self._remove_markers()
        is_usable = self._volume.watch()
        self._health.look(is_explained=self._volume.fault is not None or self._journal.fault is not None)
        return is_usable

    def _try_store(self) -> None:
        """Do what a store does: a file that gets its name, and a record. Nothing of it is published."""
        self._volume.try_store()
        entry = self._journal.append((records.store_tried(),))
        try:
            self._journal.wait(entry)
        finally:
            self._journal.settle(entry)

    def counters(self) -> Mapping[str, int]:
        """What was counted since the process began."""
        return flatten(self._entity.tally.total())

    def must_restart(self) -> bool:
        """Whether only a fresh process can go on, because the volume was mounted anew."""
        return self._watch.must_restart

    def close(self) -> None:
        """Commit what waits, and let go of journal and volume."""
        self._journal.close()
        self._watch.close()
        self._volume.close()
        if self._tracing is not None:
            self._tracing.shutdown()


def flatten(counters: Counters) -> dict[str, int]:
    """The counters as plain names and integers; refused instances by their status, in hexadecimal."""
    flat: dict[str, int] = {}
    for name, count in asdict(counters).items():
        if isinstance(count, dict):
            flat.update({f"{name}_{status:04X}": refused for status, refused in count.items()})
        else:
            flat[name] = count
    return flat
