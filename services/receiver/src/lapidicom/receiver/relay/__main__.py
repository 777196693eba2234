"""`python -m lapidicom.receiver.relay <descriptor>`: started by the supervisor only."""

import signal
import sys


def ignore_signals() -> None:
    """Leave SIGINT and SIGTERM to the supervisor, which drains us: both may go to the whole process group."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def main() -> int:
    """Run the relay on the control descriptor that is the first argument."""
    ignore_signals()  # before the imports, which take a while
    from lapidicom.receiver.control import ControlSocket
    from lapidicom.receiver.relay import app

    return app.run(ControlSocket.of_descriptor(int(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
