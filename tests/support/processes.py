"""What /proc tells of a process, and what a socket tells of its other end."""

import socket
from pathlib import Path


def connections(listener: int) -> int:
    """The connections that a listener process has open: its sockets but for the control socket."""
    sockets = 0
    for entry in Path(f"/proc/{listener}/fd").iterdir():
        try:
            sockets += str(entry.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue
    return sockets - 1


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before, or between open and read
        return True


def is_closed(sock: socket.socket) -> bool:
    """Whether the other side has ended the connection; reads what it sent before."""
    sock.settimeout(0.01)
    try:
        while sock.recv(4096):
            pass
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True
    return True
