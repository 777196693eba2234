"""Composition root of the relay: from its slice of the settings to published journals."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import Final

import structlog

from lapidicom.common import lonk, telemetry
from lapidicom.common.broker import BrokerError, publishers
from lapidicom.common.c_find import Count, NoCount, PacsQueries
from lapidicom.common.directory_cache import directory_cache_seconds
from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.reader import JournalFolder
from lapidicom.common.lonk import Outbox
from lapidicom.common.may_block import DaemonThreads
from lapidicom.common.pacs_address import parse_pacs_addresses
from lapidicom.common.telemetry import Tracing
from lapidicom.common.topology import topology
from lapidicom.receiver import child_process
from lapidicom.receiver.control import ControlSocket
from lapidicom.receiver.journal.folder import parent_identity
from lapidicom.receiver.journal.observer import Observer
from lapidicom.receiver.loops import RunningTime
from lapidicom.receiver.relay.behind_mark import StoredFiles
from lapidicom.receiver.relay.control_loop import RelayControlLoop
from lapidicom.receiver.relay.follower import Follower
from lapidicom.receiver.relay.journals import Journals, RelayIdentity
from lapidicom.receiver.relay.progress import ProgressFiles, SeriesProgress
from lapidicom.receiver.relay.publish import JournalPublisher, PublishesEnvelopes
from lapidicom.receiver.relay.reader import RelayCounts
from lapidicom.receiver.relay.retention import Retention
from lapidicom.receiver.relay.spool_sweep import SpoolSweep
from lapidicom.receiver.settings import RelaySettings

_ROUTINE: Final = frozenset(
    {"journal_taken_over", "journal_finished", "journal_segment_deleted", "journal_deleted"}
)
"""Events that are no warnings."""

_QUESTIONS_AT_ONCE: Final = 4
_QUEUE_SECONDS: Final = 60.0
"""For which a question waits for its turn, beside the time limit of the PACS."""

Supply = AsyncGenerator[PublishesEnvelopes, None]
WithinTrace = Callable[[PublishesEnvelopes], PublishesEnvelopes]


def supply_of(settings: RelaySettings) -> Supply:
    """Connected publishers, one after the other, for as long as the relay asks."""
    return publishers(
        settings.amqp_url.get_secret_value(),
        topology(settings.retry_delays, settings.park_delay),
        name="lapidicom-receiver",
        longest_pause=10.0,
    )


def run(
    control: ControlSocket,
    *,
    supply: Callable[[RelaySettings], Supply] = supply_of,
    file_system: FileSystem | None = None,
) -> int:
    """Relay until the supervisor says to drain.

    Args:
        control: the control socket; its first packet is our slice of the settings.
        supply: makes the publishers; tests pass others.
        file_system: the system calls; tests pass one that fails.

    Returns:
        The exit status.
    """
    settings = child_process.begin(control, "relay", RelaySettings)
    if settings is None:
        return child_process.ORPHANED
    tracing = telemetry.start("lapidicom-receiver")
    within_trace = _within_trace(tracing)
    try:
        return asyncio.run(
            _serve(control, settings, supply(settings), file_system or FileSystem(), within_trace)
        )
    finally:
        if tracing is not None:
            tracing.shutdown()


def _within_trace(tracing: Tracing | None) -> WithinTrace:
    """What makes a publisher publish each message within the trace that its record carries."""
    if tracing is None:
        return lambda publisher: publisher
    from lapidicom.common.broker.tracing import ContinuingPublisher, instrument

    instrument(tracing)
    return ContinuingPublisher


async def _serve(
    control: ControlSocket,
    settings: RelaySettings,
    supply: Supply,
    file_system: FileSystem,
    within_trace: WithinTrace,
) -> int:
    counts = RelayCounts()
    journals, relay = build(settings, file_system, counts)
    loop = RelayControlLoop(control, journals, relay, counts)
    async with lonk.publishing(settings.nats_address, name="lapidicom-receiver") as outbox:
        observed = within_trace if settings.nats_address is None else _counted(outbox, within_trace)
        watching = asyncio.create_task(relay.watch())
        publishing = asyncio.create_task(_publish(relay, loop, supply, observed))
        serving = asyncio.create_task(loop.serve())
        # A fault of ours ends the process; the supervisor starts another.
        await asyncio.wait((watching, publishing, serving), return_when=asyncio.FIRST_COMPLETED)
        failed = [task for task in (watching, publishing) if task.done()]
        for task in (watching, publishing, serving):
            task.cancel()
        await asyncio.gather(watching, publishing, serving, return_exceptions=True)
        with suppress(OSError):
            journals.close()
        for task in failed:
            await task
        return await serving


def _counted(outbox: Outbox, within_trace: WithinTrace) -> WithinTrace:
    """What makes a publisher count the instances of each series besides."""
    from lapidicom.receiver.relay.series_counts import CountedPublisher, SeriesCounts

    counts = SeriesCounts(outbox)
    return lambda publisher: CountedPublisher(within_trace(publisher), counts)


async def _publish(
    relay: JournalPublisher, loop: RelayControlLoop, supply: Supply, within_trace: WithinTrace
) -> None:
    async with aclosing(supply) as connected:
        async for publisher in connected:
            loop.connected = True
            try:
                await relay.publish(within_trace(publisher))
            except BrokerError as error:
                structlog.get_logger().warning(
                    "relay_goes_back", reason=str(error), error=type(error).__name__
                )
            finally:
                loop.connected = False


def build(
    settings: RelaySettings, file_system: FileSystem, counts: RelayCounts
) -> tuple[Journals, JournalPublisher]:
    """Build the relay.

    Args:
        settings: its slice.
        file_system: the system calls.
        counts: what it does is added there.
    """
    log = structlog.get_logger()

    def observe(event: str, /, **fields: object) -> None:
        (log.info if event in _ROUTINE else log.warning)(event, **fields)

    identity = RelayIdentity(uuid.uuid4().hex, settings.receiver_id, parent_identity())
    files = StoredFiles(
        file_system, settings.files_root, directory_cache=directory_cache_seconds(settings.files_root)
    )

    progress = _progress(settings, file_system, files, observe)
    sweep = SpoolSweep(file_system, settings.spool, days=settings.journal_days, now=time.time)

    def follower(folder: JournalFolder, life: str, name: str) -> Follower:
        return Follower(
            folder,
            life,
            files,
            os.fspath(settings.spool / "incoming" / name),
            sweep,
            relay_id=identity.relay_id,
            counts=counts,
            observe=observe,
            offload=asyncio.to_thread,
            clock=time.monotonic,
            progress=progress,
        )

    # A relay that was stopped itself has seen no heartbeat, and listeners need a moment to go on, too.
    running = RunningTime(time.monotonic())
    journals = Journals(
        file_system,
        settings.spool,
        identity,
        takeover=settings.journal_takeover,
        clock=lambda: running.look(time.monotonic()),
        make_follower=follower,
        observe=observe,
    )
    retention = Retention(
        file_system,
        settings.files_root,
        settings.spool,
        days=settings.journal_days,
        min_free_space=settings.min_free_space,
        now=time.time,
        observe=observe,
    )
    relay = JournalPublisher(
        journals,
        retention,
        sweep,
        takeover=settings.journal_takeover,
        observe=observe,
        offload=asyncio.to_thread,
    )
    return journals, relay


def _progress(
    settings: RelaySettings, file_system: FileSystem, files: StoredFiles, observe: Observer
) -> SeriesProgress | None:
    """What series are told of beside their records; None if there is nothing."""
    addresses = parse_pacs_addresses(settings.pacs_address)
    if not (settings.space or addresses):
        return None
    queries = PacsQueries(addresses, settings.aet, settings.pacs_timeout)
    threads = DaemonThreads(_QUESTIONS_AT_ONCE, settings.pacs_timeout + _QUEUE_SECONDS)

    async def ask(pacs_name: str, study_uid: str, series_uid: str) -> Count:
        if pacs_name not in addresses:
            return NoCount.NO_ADDRESS
        try:
            count = await threads.run(partial(queries.of_series, pacs_name, study_uid, series_uid))
        except TimeoutError:
            count = NoCount.SLOW
        if isinstance(count, NoCount):
            observe("pacs_told_no_count", pacs=pacs_name, SeriesInstanceUID=series_uid, reason=count.value)
        return count

    writer = ProgressFiles(file_system, settings.files_root, files, observe)
    return SeriesProgress(settings.space, writer, ask, asyncio.to_thread)
