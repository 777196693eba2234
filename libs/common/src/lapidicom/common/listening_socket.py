"""A listening TCP socket on every address of the host: IPv4 and IPv6 with one socket where possible."""

import errno
import socket


def listening_socket(port: int, *, backlog: int) -> socket.socket:
    """Bind and listen; SO_REUSEADDR is set, so a restart need not wait for old connections.

    Args:
        port: TCP port; 0 takes a free one.
        backlog: connections that the kernel keeps until they are accepted.

    Raises:
        OSError: the port cannot be bound.
    """
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=backlog
            )
        except OSError as error:
            # A kernel can know IPv6 and yet have it switched off.
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
    return socket.create_server(("", port), backlog=backlog)
