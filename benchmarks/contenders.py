"""The receivers that are measured beside one another, and how each is started at its best."""

import json
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

_PATH: Final = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin"
"""Debian keeps Orthanc where only the superuser looks."""

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
        stores: glob pattern of the files that it makes of instances.
        remembers: it knows what it had even when the files are gone, so it starts anew for each run.
    """

    name: str
    command: Callable[[Stand], Sequence[str]]
    environment: Callable[[Stand], Mapping[str, str]]
    needs: tuple[str, str]
    slow: bool = False
    stores: str = "*.dcm"
    remembers: bool = False

    @property
    def missing(self) -> str | None:
        """What must be installed before it can run; None: nothing."""
        executable, source = self.needs
        return None if shutil.which(executable, path=_PATH) else f"{executable} is missing: {source}"


def without_our_settings() -> Mapping[str, str]:
    """The environment less what would be a setting of lapidicom."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OUR_SETTINGS)}


def lapidicom() -> Contender:
    """The receiver's whole process tree without syncs and without a broker."""
    return receiver("lapidicom", {"CHRIS_FSYNC": "no"})


def receiver(
    name: str,
    settings: Mapping[str, str],
    command: Sequence[str] = (str(Path(sys.executable).with_name("lapidicom-receiver")),),
) -> Contender:
    """The receiver's whole process tree as a user starts it: by environment variables.

    Args:
        name: as tables show it.
        settings: beside those that make it serve on its stand; all others are as shipped.
        command: what starts it.
    """

    def environment(stand: Stand) -> Mapping[str, str]:
        return {
            **without_our_settings(),
            "AMQP_URL": AMQP_URL_OF_NOBODY,
            "CHRIS_FILES_ROOT": str(stand.stored),
            "CHRIS_SPOOL_DIR": str(stand.incoming),
            "HEALTH_PORT": "0",
            "LOG_FORMAT": "json",
            "PORT": str(stand.port),
            **settings,
        }

    return Contender(
        name, lambda _: command, environment, needs=(command[0], "install the locked environment")
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


def storescp_with_defaults() -> Contender:
    """Dcmtk's storescp as it starts without options: Nagle on, PDUs of 16 KiB, one process."""
    return Contender(
        "storescp, its defaults",
        lambda stand: [
            "storescp",
            *("--output-directory", str(stand.stored), "--filename-extension", ".dcm"),
            str(stand.port),
        ],
        lambda _: {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"},
        needs=("storescp", "apt-get install dcmtk"),
        slow=True,
    )


def orthanc() -> Contender:
    """Orthanc without plugins, its files and its index on the same file system as everybody's."""

    def command(stand: Stand) -> Sequence[str]:
        configuration = stand.folder / "orthanc.json"
        configuration.write_text(
            json.dumps(
                {
                    "StorageDirectory": str(stand.stored),
                    "IndexDirectory": str(stand.incoming),
                    "HttpServerEnabled": False,
                    "DicomPort": stand.port,
                    "DicomCheckCalledAet": False,
                    "DicomAlwaysAllowStore": True,
                    "DicomAlwaysAllowEcho": True,
                    "Plugins": [],
                }
            )
        )
        return [shutil.which("Orthanc", path=_PATH) or "Orthanc", str(configuration)]

    return Contender(
        "Orthanc",
        command,
        lambda _: {**os.environ, "TCP_NODELAY": "1"},
        needs=("Orthanc", "apt-get install orthanc"),
        slow=True,
        stores="????????-????-????-????-????????????",
        remembers=True,
    )


def sink(executable: Path) -> Contender:
    """The roof: see sink.c.

    Args:
        executable: what `roof.compiled` made of it.
    """
    return Contender(
        "C sink (the roof)",
        lambda stand: [str(executable), str(stand.port), str(stand.incoming), str(stand.stored)],
        lambda _: dict(os.environ),
        needs=(str(executable), "a C compiler makes it"),
    )
