"""Composition root of a listener: from its slice of the settings to a served control socket."""

import contextlib
from collections.abc import Callable
from typing import Final

import structlog

from lapidicom.common.file_system import FileSystem
from lapidicom.receiver import child_process
from lapidicom.receiver.association.places import Places
from lapidicom.receiver.control import ControlClosedError, ControlSocket, Unusable
from lapidicom.receiver.errors import Refusal
from lapidicom.receiver.listener.build import ListenerService
from lapidicom.receiver.listener.control_loop import ControlLoop
from lapidicom.receiver.settings import ListenerSettings
from lapidicom.receiver.storage.volume import VolumeUnusable

Build = Callable[[ListenerSettings, FileSystem, Places], ListenerService]
"""Opens volume and journal and builds what serves an association."""

UNUSABLE: Final = 3
"""Exit status when volume or journal cannot be opened; the supervisor tries again with a fresh process."""

FAILED: Final = 5
"""Exit status after a drain because the control loop failed again and again."""


def run(control: ControlSocket, *, build: Build, file_system: FileSystem | None = None) -> int:
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
    loop = ControlLoop(control, service, places, settings.shutdown_grace)
    loop.run()
    service.close()
    loop.report()
    return FAILED if loop.has_failed else 0


def _unusable(control: ControlSocket, reason: str) -> int:
    with contextlib.suppress(ControlClosedError):
        control.send(Unusable(reason))
    return UNUSABLE
