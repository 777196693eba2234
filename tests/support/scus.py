"""Real SCUs: the programs of dcmtk and GDCM, and pynetdicom."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from pynetdicom import AE, _config
from pynetdicom.association import Association

from tests.support.instances import Instance
from tests.support.process_groups import leash
from tests.support.pynetdicom_scu import serve_nobody
from tests.support.requirements import tool

SECONDS = 50


@dataclass(frozen=True, slots=True)
class Run:
    """How a program ended, and all that it said."""

    status: int
    output: str


def echoscu(port: int, calling: str, *options: str) -> Run:
    """C-ECHO by dcmtk."""
    return _run([str(tool("echoscu", "dcmtk")), "-v", "-aet", calling, "-aec", "ChRIS", *options], port)


def storescu(port: int, calling: str, files: Iterable[Path], *options: str) -> Run:
    """C-STORE by dcmtk's storescu; Nagle's algorithm is on, as it ships."""
    program = [str(tool("storescu", "dcmtk")), "-v", "-aet", calling, "-aec", "ChRIS", *options]
    return _run(program, port, files)


def dcmsend(port: int, calling: str, files: Iterable[Path], *options: str) -> Run:
    """C-STORE by dcmtk's dcmsend: proposes what the files hold, and goes on after a refusal."""
    program = [str(tool("dcmsend", "dcmtk")), "-v", "-aet", calling, "-aec", "ChRIS"]
    return _run([*program, "--no-halt", "--decompress-never", *options], port, files)


def gdcmscu(port: int, calling: str, *options: str, files: Iterable[Path] = ()) -> Run:
    """C-ECHO or C-STORE by GDCM."""
    program = [str(optional_tool("gdcmscu", "libgdcm-tools")), "--aetitle", calling, "--call", "ChRIS", "-V"]
    inputs = [argument for file in files for argument in ("-i", str(file))]
    command = [*leash(), *program, *options, *inputs, "127.0.0.1", str(port)]
    return _finished(command)


def optional_tool(name: str, package: str) -> Path:
    """Path of a program that is good to have: where it is missing the test is skipped, in CI too."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed (Debian, Ubuntu: the package {package})")
    return Path(found)


def start(program: str, port: int, calling: str, files: Iterable[Path]) -> "subprocess.Popen[bytes]":
    """Begin a C-STORE by one of dcmtk's programs, to run beside others."""
    command = [str(tool(program, "dcmtk")), "-aet", calling, "-aec", "ChRIS"]
    return subprocess.Popen(
        [*leash(), *command, "127.0.0.1", str(port), *map(str, files)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _run(program: Sequence[str], port: int, files: Iterable[Path] = ()) -> Run:
    return _finished([*leash(), *program, "127.0.0.1", str(port), *map(str, files)])


def _finished(command: Sequence[str]) -> Run:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
        check=False,
    )
    return Run(done.returncode, done.stdout.decode(errors="replace"))


def pynetdicom_associate(
    port: int, calling: str, instances: Iterable[Instance], *, max_pdu: int = 16382
) -> Association:
    """An association of pynetdicom with a context for each pair that the instances need."""
    entity = AE(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    entity.add_requested_context("1.2.840.10008.1.1")
    for sop_class, syntax in dict.fromkeys((one.sop_class, one.transfer_syntax) for one in instances):
        entity.add_requested_context(sop_class, syntax)
    association = entity.associate("127.0.0.1", port, ae_title="ChRIS", max_pdu=max_pdu)
    assert association.is_established
    serve_nobody(association)
    return association


def pynetdicom_store(
    port: int, calling: str, instances: Sequence[Instance], folder: Path, *, max_pdu: int = 16382
) -> list[int]:
    """C-STORE of each instance by pynetdicom, from its file and so byte by byte; returns the statuses."""
    association = pynetdicom_associate(port, calling, instances, max_pdu=max_pdu)
    before = _config.STORE_SEND_CHUNKED_DATASET
    _config.STORE_SEND_CHUNKED_DATASET = True
    try:
        return [int(association.send_c_store(one.write(folder)).Status) for one in instances]
    finally:
        _config.STORE_SEND_CHUNKED_DATASET = before
        association.release()
