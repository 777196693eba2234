"""Runs the receiver as the product does, but starts its children with faults at exact points.

`python -m tests.support.launcher` takes the place of `lapidicom-receiver`; its children are
`python -m tests.support.launcher <role> <control descriptor>`. LAUNCHER_FAULTS holds the faults,
LAUNCHER_FOLDER the folder by which they are told of.
"""

import os
import sys
from pathlib import Path

from tests.support.faults import FaultyFileSystem, arm, decode

FAULTS = "LAUNCHER_FAULTS"
FOLDER = "LAUNCHER_FOLDER"


def main() -> None:
    """Be the supervisor, or the child that the arguments name."""
    if len(sys.argv) == 1:
        _supervisor()
    faults = arm(decode(os.environ[FAULTS]), sys.argv[1], Path(os.environ[FOLDER]))
    if sys.argv[1] == "listener":
        from lapidicom.receiver.control import ControlSocket
        from lapidicom.receiver.listener import app
        from lapidicom.receiver.listener.__main__ import ignore_signals
        from lapidicom.receiver.listener.build import build

        ignore_signals()
        control = ControlSocket.of_descriptor(int(sys.argv[2]))
        os._exit(app.run(control, build=build, file_system=FaultyFileSystem(faults)))
    raise SystemExit(f"no role {sys.argv[1]!r}")


def _supervisor() -> None:
    from lapidicom.common.settings import load
    from lapidicom.receiver.settings import ReceiverSettings
    from lapidicom.receiver.supervisor import app

    settings = load(ReceiverSettings, os.environ)
    command = (sys.executable, "-m", "tests.support.launcher")
    sys.exit(app.run(settings, child_command=lambda role: (*command, role.value), environ=os.environ))


if __name__ == "__main__":
    main()
