"""What the user may choose: DATA, FILES_ROOT, CALLING_AET, CUBE, KEEP, and RabbitMQ's AMQP_URL."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pydicom.data

DEFAULT_CALLING_AET = "DEMO"
GENERATIONS = ("5", "6")
NO = ("", "0", "no", "false")


class OptionError(Exception):
    """An option is wrong; the text says which and why."""


@dataclass(frozen=True)
class Options:
    """The choices of one demo.

    Attributes:
        data: directory of files to send.
        files_root: storage root to keep; None = a temporary one.
        keep: leave everything running at the end.
        amqp_url: RabbitMQ that is already there; None = an own one.
        cube: the stand-in's generation: 5 registers files, 6 series.
    """

    data: Path
    files_root: Path | None = None
    calling_aet: str = DEFAULT_CALLING_AET
    keep: bool = False
    amqp_url: str | None = None
    cube: int = 5


def read_options(environ: Mapping[str, str]) -> Options:
    """Read the options from the environment.

    Raises:
        OptionError: DATA is no directory, CALLING_AET is no AE title, or CUBE is no generation.
    """
    data = environ.get("DATA")
    folder = Path(data).resolve() if data else Path(pydicom.data.__file__).parent / "test_files"
    if not folder.is_dir():
        raise OptionError(f"DATA={data} is not a directory")
    calling_aet = environ.get("CALLING_AET") or DEFAULT_CALLING_AET
    printable = calling_aet.isascii() and calling_aet.isprintable() and "\\" not in calling_aet
    if not printable or not calling_aet.strip() or len(calling_aet) > 16:
        raise OptionError(f"CALLING_AET={calling_aet!r} is not 1 to 16 printable ASCII characters")
    cube = environ.get("CUBE") or "5"
    if cube not in GENERATIONS:
        raise OptionError(f"CUBE={cube!r} is neither 5 nor 6")
    files_root = environ.get("FILES_ROOT")
    return Options(
        data=folder,
        files_root=Path(files_root).resolve() if files_root else None,
        calling_aet=calling_aet,
        keep=environ.get("KEEP", "").lower() not in NO,
        amqp_url=environ.get("AMQP_URL") or None,
        cube=int(cube),
    )
