"""Composition root of the supervisor: from the receiver's settings to its process tree."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from lapidicom.common import logs
from lapidicom.common.settings import LogSection
from lapidicom.common.settings.unknown import names, unknown
from lapidicom.receiver.settings import ListenerSettings, ReceiverSettings, RelaySettings
from lapidicom.receiver.supervisor.child import Child, Role
from lapidicom.receiver.supervisor.listener_count import listener_count, resources, shares
from lapidicom.receiver.supervisor.supervisor import StartError, Supervisor

OF_THE_REGISTRAR: Final = frozenset(
    {"CHRIS_URL", "CHRIS_USERNAME", "CHRIS_PASSWORD", "CHRIS_PUSHER_THREADS", "CHRIS_HTTP_RETRIES"}
)
"""Settings of the registrar, which deployments often give to both services."""

ChildCommand = Callable[[Role], Sequence[str]]
"""The command line of a role's child; the number of its control descriptor is appended to it."""


def child_command(role: Role) -> Sequence[str]:
    """A fresh interpreter of our own that runs the role's module."""
    return (sys.executable, "-m", f"lapidicom.receiver.{role.value}")


def run(
    settings: ReceiverSettings,
    *,
    child_command: ChildCommand = child_command,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Run the receiver until a signal ends it.

    Args:
        settings: all of them; each child is given its slice.
        child_command: how a child is started; tests start theirs by a launcher.
        environ: environment of this process, of which the children get all but the settings.

    Returns:
        The exit status.
    """
    logs.configure(settings.slice(LogSection), process="supervisor")
    log = structlog.get_logger()
    if not settings.fsync:
        log.warning("fsync_off", consequence="a power cut loses instances that were answered with success")
    environ = os.environ if environ is None else environ
    for name, nearest in unknown(environ, names(ReceiverSettings) | OF_THE_REGISTRAR).items():
        log.warning("setting_unknown", name=name, nearest=nearest)
    inherited = without_settings(environ)
    listeners = settings.listener_processes
    if listeners == "auto":
        available = resources()
        listeners = listener_count(available, settings.listener_threads)
        log.info("listeners_counted", listeners=listeners, cores=available.cores, memory=available.memory)
    slices = child_slices(settings, listeners)

    def launch(role: Role, index: int) -> Child:
        return Child(role, index, child_command(role), inherited, slices[role][index])

    async def main() -> int:
        supervisor = Supervisor(
            launch,
            listeners=listeners,
            port=settings.port,
            health_port=settings.health_port,
            shutdown_grace=settings.shutdown_grace,
            child_timeout=settings.child_timeout,
        )
        await supervisor.run()
        return 1 if supervisor.has_failed else 0

    try:
        return asyncio.run(main())
    except StartError as error:
        log.critical("start_failed", reason=str(error))
        return 1


def child_slices(settings: ReceiverSettings, listeners: int) -> Mapping[Role, Sequence[str]]:
    """The slice of each child, as JSON; a listener's `listener_threads` is its own share of the places.

    Args:
        settings: of all.
        listeners: number of listener processes.
    """
    listener = settings.slice(ListenerSettings)
    return {
        Role.LISTENER: [
            listener.model_copy(update={"listener_threads": share, "listener_processes": 1}).dump_slice()
            for share in shares(settings.listener_threads, listeners)
        ],
        Role.RELAY: [settings.slice(RelaySettings).dump_slice()],
    }


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment less our settings: a child has its slice, and no secret that it does not need."""
    ours = names(ReceiverSettings)
    return {name: value for name, value in environ.items() if name.removesuffix("_FILE") not in ours}
