"""The receivers that are measured beside one another, and how each is started at its best."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_PDU_LENGTH: Final = 131_072
AMQP_URL_OF_NOBODY: Final = "amqp://guest:guest@127.0.0.1:1/"
"""No broker listens there: the relay tries to connect in vain, as while RabbitMQ is away."""

_OUR_SETTINGS = ("CHRIS_", "AMQP_", "OTEL_", "LOG_FORMAT", "REGISTRATION_UNIT", "PORT", "HEALTH_PORT")


@dataclass(frozen=True, slots=True)
class Stand:
    """What a contender is given for one run: a free port, an empty folder, the number of associations."""

    port: int
    folder: Path
    associations: int

    @property
    def stored(self) -> Path:
        """Below it the instances are stored, as `*.dcm`."""
        return self.folder / "stored"

    @property
    def incoming(self) -> Path:
        """For files that are not yet complete."""
        return self.folder / "incoming"


@dataclass(frozen=True, slots=True)
class Contender:
    """A C-STORE SCP that can be started on a stand of its own.

    Attributes:
        name: as tables show it.
        command: makes the command that serves.
        environment: makes its environment.
        needs: the executable that must be there, and where it comes from.
        slow: it is many times slower than the others, so it is sent less in a round.
    """

    name: str
    command: Callable[[Stand], Sequence[str]]
    environment: Callable[[Stand], Mapping[str, str]]
    needs: tuple[str, str]
    slow: bool = False

    @property
    def missing(self) -> str | None:
        """What must be installed before it can run; None: nothing."""
        executable, source = self.needs
        return None if shutil.which(executable) else f"{executable} is missing: {source}"


def lapidicom(listeners: int = 1) -> Contender:
    """The receiver's whole process tree as a user starts it: by environment variables.

    Args:
        listeners: CHRIS_LISTENER_PROCESSES.
    """
    executable = str(Path(sys.executable).with_name("lapidicom-receiver"))

    def environment(stand: Stand) -> Mapping[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(_OUR_SETTINGS)},
            "AMQP_URL": AMQP_URL_OF_NOBODY,
            "CHRIS_FILES_ROOT": str(stand.stored),
            "CHRIS_SPOOL_DIR": str(stand.incoming),
            "CHRIS_FSYNC": "no",
            "CHRIS_LISTENER_PROCESSES": str(listeners),
            "HEALTH_PORT": "0",
            "LOG_FORMAT": "json",
            "PORT": str(stand.port),
        }

    return Contender(
        "lapidicom" if listeners == 1 else f"lapidicom, {listeners} listeners",
        lambda _: [executable],
        environment,
        needs=(executable, "install the locked environment"),
    )


def pynetdicom() -> Contender:
    """Pynetdicom's SCP at its best, see pynetdicom_scp.py."""
    return Contender(
        "pynetdicom",
        lambda stand: [
            sys.executable,
            *("-m", "benchmarks.pynetdicom_scp"),
            *("--port", str(stand.port), "--max-pdu", str(MAX_PDU_LENGTH), str(stand.stored)),
        ],
        lambda stand: {**os.environ, "TMPDIR": str(stand.incoming)},
        needs=(sys.executable, "install the locked environment"),
        slow=True,
    )


def storescp(*, bit_preserving: bool) -> Contender:
    """Dcmtk's storescp, one process per association where there are several.

    Args:
        bit_preserving: option +B: data sets are written as they come, as ours are; without it they are
            decoded and encoded again.
    """

    def command(stand: Stand) -> Sequence[str]:
        return [
            "storescp",
            *("--quiet", "--disable-host-lookup", "--max-pdu", str(MAX_PDU_LENGTH)),
            *("--output-directory", str(stand.stored), "--filename-extension", ".dcm"),
            *(["+B"] if bit_preserving else []),
            *(["--fork"] if stand.associations > 1 else []),
            str(stand.port),
        ]

    return Contender(
        "storescp +B" if bit_preserving else "storescp",
        command,
        lambda _: {**os.environ, "TCP_NODELAY": "1"},
        needs=("storescp", "apt-get install dcmtk"),
    )
