"""Each distribution's wheel works alone: it brings what it imports and nothing of the others."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import requirements

CHECKOUT = Path(__file__).parents[3]

DISTRIBUTIONS = {
    "common": ("libs/common", ("lapidicom.common",)),
    "receiver": ("services/receiver", ("lapidicom.receiver",)),
    "registrar": ("services/registrar", ("lapidicom.registrar", "lapidicom.cli")),
}

ALL_MODULES = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
others = {"lapidicom.receiver", "lapidicom.registrar"} - set(sys.argv[1:])
found = others & set(sys.modules)
assert not found, found
"""


def _uv() -> str:
    local = CHECKOUT / ".uv" / "bin" / "uv"
    found = str(local) if local.exists() else shutil.which("uv")
    if found is None:
        requirements.missing("uv is not installed (`make setup` does it)")
    return found


def _run(*command: str | Path, **environ: str) -> str:
    done = subprocess.run(
        command,
        check=False,
        cwd=CHECKOUT,
        env={**os.environ, "UV_PYTHON_DOWNLOADS": "never", **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for source, _ in DISTRIBUTIONS.values():
        _run(_uv(), "build", "--quiet", "--wheel", "--out-dir", folder, source)
    return folder


def _wheel(wheels: Path, name: str) -> Path:
    return next(wheels.glob(f"lapidicom_{name}-*.whl"))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_wheel_holds_its_own_package_and_no_namespace_init(wheels: Path, name: str) -> None:
    files = [file for file in zipfile.ZipFile(_wheel(wheels, name)).namelist() if ".dist-info/" not in file]
    owned = {"common": ("common",), "receiver": ("receiver",), "registrar": ("registrar", "cli")}[name]
    assert {file.split("/")[0] for file in files} == {"lapidicom"}
    assert {file.split("/")[1] for file in files} <= set(owned)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_all_modules_of_a_wheel_import_where_nothing_else_is_installed(
    wheels: Path, name: str, tmp_path: Path
) -> None:
    environment = tmp_path / "environment"
    _run(_uv(), "venv", "--quiet", "--python", sys.executable, environment)
    locked = tmp_path / "locked.txt"
    _run(
        *(_uv(), "export", "--quiet", "--locked", "--no-dev", "--no-emit-workspace", "--no-hashes"),
        *("--package", f"lapidicom-{name}", "--extra", "nats", "--output-file", locked),
    )
    wanted = {_wheel(wheels, "common"), _wheel(wheels, name)}
    python = environment / "bin" / "python"
    _run(
        *(_uv(), "pip", "install", "--quiet", "--no-deps", "--python", python),
        *("--requirement", locked, *sorted(wanted)),
    )
    _run(python, "-c", ALL_MODULES, *DISTRIBUTIONS[name][1], PYTHONPATH="")
