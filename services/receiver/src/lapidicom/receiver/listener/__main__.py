"""`python -m lapidicom.receiver.listener <descriptor>`: started by the supervisor only."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def ignore_signals() -> None:
    """Leave SIGINT and SIGTERM to the supervisor, which drains us: both may go to the whole process group."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def parts() -> Callable[[int], int]:
    """Import what a listener is made of; the result runs it on a control descriptor.

    pydicom imports `requests` where it finds it, for downloads that are never made here. It is there for
    the exporter of traces; without traces it would cost each listener 5 MB and an eighth of a second.
    """
    with _not_found("requests"):
        from lapidicom.receiver.control import ControlSocket
        from lapidicom.receiver.listener import app
    return lambda descriptor: app.run(ControlSocket.of_descriptor(descriptor))


@contextmanager
def _not_found(module: str) -> Iterator[None]:
    sys.modules[module] = None  # type: ignore[assignment]  # Python's own way to say: there is no such module
    try:
        yield
    finally:
        del sys.modules[module]


def main() -> None:
    """Run a listener on the control descriptor that is the first argument."""
    ignore_signals()  # before the imports, which take most of a second
    status = parts()(int(sys.argv[1]))
    from lapidicom.common import logs

    logs.flush()
    # Threads of associations that did not end in time are not waited for.
    os._exit(status)


if __name__ == "__main__":
    main()
