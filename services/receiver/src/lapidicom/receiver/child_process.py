"""What listener and relay have in common as children of the supervisor: their settings, their end."""

import os
from typing import Final, NoReturn, TypeVar

from lapidicom.common import logs
from lapidicom.common.settings import LogSection
from lapidicom.receiver.control import ControlClosedError, ControlSocket, Settings

S = TypeVar("S", bound=LogSection)

ORPHANED: Final = 4
"""Exit status when the supervisor has gone."""

_UMASK: Final = 0o002
"""Leaves all that folders (0775, 0750) and files (0664, 0640) are given, whatever the umask was."""


def begin(control: ControlSocket, process: str, settings: type[S]) -> S | None:
    """Take the slice of the settings, which is the first packet; set up the log and the umask.

    Args:
        control: the child's end of the control socket.
        process: bound to each log line.
        settings: of this child.

    Returns:
        The settings; None if the supervisor has gone.

    Raises:
        TypeError: another packet came first.
    """
    try:
        packet, _ = control.receive()
    except ControlClosedError:
        return None
    if not isinstance(packet, Settings):
        raise TypeError(f"{type(packet).__name__} came before the settings")
    found = settings.parse_slice(packet.slice)
    logs.configure(found.slice(LogSection), process=process, pid=os.getpid())
    os.umask(_UMASK)
    return found


def orphaned() -> NoReturn:
    """End the process at once: nobody answers for it any more, and others go on with its journal."""
    os._exit(ORPHANED)
