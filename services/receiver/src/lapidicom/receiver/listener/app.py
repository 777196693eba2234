"""Composition root of a listener: from its slice of the settings to a served control socket."""

import contextlib
import uuid
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from lapidicom.common import telemetry
from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.format import folder_name
from lapidicom.common.journal.records import OpenSeries
from lapidicom.common.telemetry import Tracing
from lapidicom.receiver import child_process
from lapidicom.receiver.association.application_entity import ApplicationEntity, OpenSCP
from lapidicom.receiver.association.counters import Tally
from lapidicom.receiver.association.new_life import mark_again
from lapidicom.receiver.association.places import Places
from lapidicom.receiver.association.store import StoreSCP
from lapidicom.receiver.control import ControlClosedError, ControlSocket, Unusable
from lapidicom.receiver.errors import Refusal
from lapidicom.receiver.journal.writer import Journal
from lapidicom.receiver.listener.control_loop import ListenerControlLoop
from lapidicom.receiver.listener.service import ListenerService
from lapidicom.receiver.settings import ListenerSettings
from lapidicom.receiver.storage.fixed_folders import FixedFolders
from lapidicom.receiver.storage.folders import SeriesFolders
from lapidicom.receiver.storage.instance_file import InstanceStore
from lapidicom.receiver.storage.open_markers import OpenMarkers
from lapidicom.receiver.storage.spool_folders import SpoolFolders
from lapidicom.receiver.storage.volume import Volume, VolumeUnusable
from lapidicom.receiver.upper_layer.negotiation import NegotiationPolicy

UNUSABLE: Final = 3
"""Exit status when volume or journal cannot be opened; the supervisor tries again with a fresh process."""

FAILED: Final = 5
"""Exit status after a drain because the control loop failed again and again."""


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
    store = build_store(volume, file_system, fsync=settings.fsync)

    def begin_life(life: str, series: Iterable[OpenSeries]) -> None:
        volume.begin_life(folder_name(settings.receiver_id, life))
        mark_again(store.markers, life, series)

    with contextlib.ExitStack() as opened:
        opened.callback(volume.close)
        journal = Journal.open(
            settings.spool,
            settings.receiver_id,
            fsync=settings.fsync,
            heartbeat=settings.journal_heartbeat,
            takeover=settings.journal_takeover,
            file_system=file_system,
            life=life,
            on_next=begin_life,
            takes_refusals=lambda: volume.obstacle is None,
        )
        opened.pop_all()
    tracing = telemetry.start("lapidicom-receiver")
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
        open_scp=_scp_opener(store, journal, tracing),
        log=structlog.get_logger(),
    )
    return ListenerService(
        volume, journal, store.refusals, entity, settings.store_timeout, store.markers.remove, tracing
    )


def build_store(
    volume: Volume, file_system: FileSystem, *, fsync: bool, most_folders: int = 256
) -> InstanceStore:
    """Build what places instances on a volume."""
    spool = SpoolFolders(file_system, volume.spool, fsync=fsync)
    fixed = FixedFolders(file_system, spool, volume.incoming)
    folders = SeriesFolders(volume, fixed, file_system, most_folders)
    return InstanceStore(volume, folders, OpenMarkers(file_system, spool), file_system, fsync=fsync)


def _scp_opener(store: InstanceStore, journal: Journal, tracing: Tracing | None) -> OpenSCP:
    if tracing is None:
        return lambda association, counters, log: StoreSCP(association, store, journal, counters, log)
    from lapidicom.receiver.association.traced_store import TracedStoreSCP

    tracer = tracing.tracer("lapidicom.receiver")
    return lambda association, counters, log: TracedStoreSCP(
        association, store, journal, counters, log, tracer=tracer
    )


def run(
    control: ControlSocket,
    *,
    build: Callable[[ListenerSettings, FileSystem, Places], ListenerService] = build,
    file_system: FileSystem | None = None,
) -> int:
    """Serve associations until the supervisor says to drain.

    Args:
        control: the control socket; its first packet is our slice of the settings.
        build: makes the service; tests pass a stand-in.
        file_system: the system calls of store and journal; tests pass one that fails.

    Returns:
        The exit status.
    """
    settings = child_process.begin(control, "listener", ListenerSettings)
    if settings is None:
        return child_process.ORPHANED
    log = structlog.get_logger()
    places = Places(settings.listener_threads)
    try:
        service = build(settings, file_system or FileSystem(), places)
    except VolumeUnusable as error:
        log.critical("volume_unusable", reason=str(error))
        return _unusable(control, str(error))
    except Exception as error:
        log.critical("listener_unusable", exc_info=error)
        return _unusable(control, str(error) if isinstance(error, Refusal) else type(error).__name__)
    loop = ListenerControlLoop(control, service, places, settings.shutdown_grace)
    loop.run()
    service.close()
    loop.report()
    return FAILED if loop.has_failed else 0


def _unusable(control: ControlSocket, reason: str) -> int:
    with contextlib.suppress(ControlClosedError):
        control.send(Unusable(reason))
    return UNUSABLE
