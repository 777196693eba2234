"""`python -m lapidicom.receiver.listener <descriptor>`: started by the supervisor only."""

import os
import signal
import sys


def ignore_signals() -> None:
    """Leave SIGINT and SIGTERM to the supervisor, which drains us: both may go to the whole process group."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def main() -> None:
    """Run a listener on the control descriptor that is the first argument."""
    ignore_signals()  # before the imports, which take most of a second
    from lapidicom.receiver.control import ControlSocket
    from lapidicom.receiver.listener import app
    from lapidicom.receiver.listener.build import build

    status = app.run(ControlSocket.of_descriptor(int(sys.argv[1])), build=build)
    # Threads of associations that did not end in time are not waited for.
    os._exit(status)


if __name__ == "__main__":
    main()
