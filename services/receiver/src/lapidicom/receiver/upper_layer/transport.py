"""The TCP connection under an association: what it receives, what it acknowledges, how long it waits."""

import socket
import struct
import time
from collections.abc import Callable
from functools import partial


class PeerClosed(Exception):
    """The transport connection ended (Evt17)."""


class PeerSilent(Exception):
    """Nothing arrived within the time allowed (Evt18)."""


def socket_receiver(sock: socket.socket, deadline: float | None = None) -> Callable[[memoryview, bool], int]:
    """Receive from a plain TCP socket.

    Args:
        sock: blocking; SO_RCVTIMEO bounds the silence before a single read.
        deadline: of time.monotonic(), for all reads together, however slowly the bytes drip in;
            sets SO_RCVTIMEO before each.
    """
    receive, wait_all = sock.recv_into, socket.MSG_WAITALL

    def receive_into(view: memoryview, all_of_it: bool) -> int:
        try:
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise PeerSilent
                set_timeout(sock, socket.SO_RCVTIMEO, left)
            count = receive(view, 0, wait_all if all_of_it else 0)
            if count:
                return count
        except BlockingIOError:
            raise PeerSilent from None
        except OSError as error:
            raise PeerClosed from error
        raise PeerClosed

    return receive_into


def acknowledger(sock: socket.socket) -> Callable[[], None]:
    """Let the kernel acknowledge at once what has arrived: what a reader of a TCP socket has to call.

    A sender with Nagle's algorithm on would otherwise wait 40 ms for each delayed ACK. TCP_QUICKACK is not
    permanent (tcp(7)), so it is set anew each time.
    """
    return partial(sock.setsockopt, socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def set_timeout(sock: socket.socket, option: int, seconds: float) -> None:
    """Set SO_RCVTIMEO or SO_SNDTIMEO: the kernel's time-outs cost no poll() before each call."""
    whole, part = divmod(max(seconds, 0.001), 1)
    sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", int(whole), int(part * 1e6)))
