"""What a test needs from the machine: a program missing on a laptop skips it, missing in CI it fails."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest


def in_ci() -> bool:
    """Whether CI=true: there nothing may be missing."""
    return os.environ.get("CI", "").lower() == "true"


def missing(reason: str) -> NoReturn:
    """End the test: it cannot run here."""
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def not_allowed(reason: str) -> NoReturn:
    """Skip the test, in CI too: the machine's owner must grant what it needs, nobody can install it."""
    pytest.skip(reason)


def tool(name: str, package: str) -> Path:
    """Path of a program of the machine, such as dcmtk's storescu.

    The folder of the running interpreter does not count: pynetdicom installs programs of the same names
    there. That of an administrator's programs counts, whoever runs the tests.
    """
    own = str(Path(sys.prefix) / "bin")
    searched = [*os.environ.get("PATH", os.defpath).split(os.pathsep), "/usr/sbin"]
    folders = [folder for folder in searched if folder != own]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        missing(f"{name} is not installed (Debian, Ubuntu: the package {package})")
    return Path(found)
