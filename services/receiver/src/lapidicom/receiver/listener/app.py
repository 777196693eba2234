"""Composition root of a listener: from its slice of the settings to a served control socket."""

import os
from collections.abc import Callable
from typing import Final

import structlog

from lapidicom.common import logs
from lapidicom.common.settings import LogSection
from lapidicom.receiver.control import ControlClosedError, ControlSocket, Settings
from lapidicom.receiver.file_system import FileSystem
from lapidicom.receiver.listener.places import Places
from lapidicom.receiver.listener.service import Service
from lapidicom.receiver.listener.shell import ORPHANED, Shell
from lapidicom.receiver.settings import ListenerSettings
from lapidicom.receiver.storage.volume import VolumeUnusable

Build = Callable[[ListenerSettings, FileSystem, Places], Service]
"""Opens volume and journal and builds what serves an association."""

UNUSABLE: Final = 3
"""Exit status when volume or journal cannot be opened; the supervisor tries again with a fresh process."""

_UMASK: Final = 0o002
"""Leaves all that folders (0775, 0750) and files (0664, 0640) are given, whatever the umask was."""


def run(control: ControlSocket, *, build: Build, file_system: FileSystem | None = None) -> int:
    """Serve associations until the supervisor says to drain.

    Args:
        control: the control socket; its first packet is our slice of the settings.
        build: makes the service; tests pass a stand-in.
        file_system: the system calls of store and journal; tests pass one that fails.

    Returns:
        The exit status.
    """
    try:
        packet, _ = control.receive()
    except ControlClosedError:
        return ORPHANED
    if not isinstance(packet, Settings):
        raise TypeError(f"{type(packet).__name__} came before the settings")
    settings = ListenerSettings.parse_slice(packet.slice)
    logs.configure(settings.slice(LogSection), process="listener", pid=os.getpid())
    log = structlog.get_logger()
    os.umask(_UMASK)
    places = Places(settings.listener_threads)
    try:
        service = build(settings, file_system or FileSystem(), places)
    except VolumeUnusable as error:
        log.critical("volume_unusable", reason=str(error))
        return UNUSABLE
    except Exception as error:
        log.critical("listener_unusable", exc_info=error)
        return UNUSABLE
    shell = Shell(control, service, places)
    shell.run()
    service.close()
    shell.report()
    return 0
