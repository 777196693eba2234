"""Builds the service of a listener: volume, journal, upper layer and DIMSE put together."""

import contextlib
import socket
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import structlog

from lapidicom.common import telemetry
from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal import records
from lapidicom.common.journal.format import folder_name
from lapidicom.common.telemetry import Tracing
from lapidicom.receiver.association.application_entity import ApplicationEntity, OpenStore
from lapidicom.receiver.association.association import Association
from lapidicom.receiver.association.association_info import AssociationInfo
from lapidicom.receiver.association.counters import Counters, Tally
from lapidicom.receiver.association.places import Places
from lapidicom.receiver.association.store import StoreService
from lapidicom.receiver.control import Connection
from lapidicom.receiver.journal.writer import Journal
from lapidicom.receiver.listener.health import HANG, StoreHangs, StoreHealth, VolumeWatch
from lapidicom.receiver.settings import ListenerSettings
from lapidicom.receiver.storage.folders import SeriesFolders
from lapidicom.receiver.storage.instance_file import InstanceStore
from lapidicom.receiver.storage.refusals import Refusals
from lapidicom.receiver.storage.volume import Volume
from lapidicom.receiver.upper_layer.negotiation import NegotiationPolicy


class ListenerService:
    """Store, journal and upper layer of one listener.

    Args:
        volume: the storage root.
        journal: the journal of this life.
        refusals: for want of resources.
        entity: what all associations share.
        store_timeout: CHRIS_STORE_TIMEOUT, seconds.
        tracing: of this process, if it makes traces.
    """

    def __init__(
        self,
        volume: Volume,
        journal: Journal,
        refusals: Refusals,
        entity: ApplicationEntity,
        store_timeout: float,
        tracing: Tracing | None = None,
    ) -> None:
        self._volume = volume
        self._journal = journal
        self._entity = entity
        self._tracing = tracing
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


def build(settings: ListenerSettings, file_system: FileSystem, places: Places) -> ListenerService:
    """Open volume and journal, and build what serves associations.

    Raises:
        VolumeUnusable: the volume failed the checks of the start.
        JournalUnavailable: no journal could be made.
    """
    life = uuid.uuid4().hex
    volume = Volume(
        settings.files_root,
        settings.spool,
        folder_name(settings.receiver_id, life),
        min_free_space=settings.min_free_space,
        fsync=settings.fsync,
        file_system=file_system,
    )
    with contextlib.ExitStack() as opened:
        opened.callback(volume.close)
        journal = Journal.open(
            settings.spool,
            settings.receiver_id,
            fsync=settings.fsync,
            heartbeat=settings.journal_heartbeat,
            file_system=file_system,
            life=life,
            takes_refusals=lambda: volume.obstacle is None,
        )
        opened.pop_all()
    tracing = telemetry.start("lapidicom-receiver")
    store = InstanceStore(volume, SeriesFolders(volume, file_system), file_system, fsync=settings.fsync)
    entity = ApplicationEntity(
        policy=NegotiationPolicy(
            promiscuous=settings.promiscuous, uncompressed_only=settings.uncompressed_only
        ),
        max_pdu_length=settings.max_pdu_length,
        strict=settings.strict,
        acse_timeout=settings.acse_timeout,
        idle_timeout=settings.idle_timeout,
        admission_wait=settings.admission_wait,
        receiver_id=settings.receiver_id,
        places=places,
        tally=Tally(),
        open_store=_store_opener(store, journal, tracing),
        log=structlog.get_logger(),
    )
    return ListenerService(volume, journal, store.refusals, entity, settings.store_timeout, tracing)


def _store_opener(store: InstanceStore, journal: Journal, tracing: Tracing | None) -> OpenStore:
    if tracing is None:
        return partial(_open_store, store, journal)
    from lapidicom.receiver.association.traced_store import TracedStoreService

    tracer = tracing.tracer("lapidicom.receiver")

    def open_traced(association: AssociationInfo, counters: Counters, log: Any) -> StoreService:
        return TracedStoreService(association, store, journal, counters, log, tracer=tracer)

    return open_traced


def _open_store(
    store: InstanceStore, journal: Journal, association: AssociationInfo, counters: Counters, log: Any
) -> StoreService:
    return StoreService(association, store, journal, counters, log)


def flatten(counters: Counters) -> dict[str, int]:
    """The counters as plain names and integers; refused instances by their status, in hexadecimal."""
    flat: dict[str, int] = {}
    for name, count in asdict(counters).items():
        if isinstance(count, dict):
            flat.update({f"{name}_{status:04X}": refused for status, refused in count.items()})
        else:
            flat[name] = count
    return flat
