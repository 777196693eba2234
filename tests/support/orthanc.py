"""Orthanc, the PACS of most ChRIS deployments: a private one, as an SCU and as an SCP that answers C-FIND."""

import http.client
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lapidicom.common.pacs_address import PacsAddress
from tests.support.polling import eventually
from tests.support.ports import free_port
from tests.support.process_groups import leash
from tests.support.scus import optional_tool


class Orthanc:
    """A running Orthanc that knows one modality.

    Args:
        folder: for its database and configuration.
        scp_port: of the modality.
        calling: its own AE title.

    Attributes:
        address: where it answers C-FIND.
    """

    def __init__(self, folder: Path, scp_port: int, calling: str) -> None:
        self._folder = folder
        self._port = free_port()
        self.address = PacsAddress(calling, "127.0.0.1", free_port())
        self._configuration = {
            "Name": "test",
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "HttpPort": self._port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomServerEnabled": True,
            "DicomPort": self.address.port,
            "DicomAlwaysAllowFind": True,
            "DicomAet": calling,
            "DicomModalities": {"lapidicom": ["ChRIS", "127.0.0.1", scp_port]},
            "Plugins": [],
        }
        self._log_file = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        program = optional_tool("Orthanc", "orthanc")
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / "orthanc.json"
        file.write_text(json.dumps(self._configuration))
        self._log = self._log_file.open("wb")
        self._process = subprocess.Popen(
            [*leash(), str(program), str(file)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        eventually(self._answers, 30, what="Orthanc's REST API")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def take(self, files: Iterable[bytes]) -> list[str]:
        """Upload instances; returns Orthanc's names for them."""
        return [self._post("/instances", file)["ID"] for file in files]

    def store(self, resources: list[str], *, permissive: bool = False) -> dict[str, Any]:
        """Send to the modality, in one association; returns what Orthanc says of it."""
        order = {"Resources": resources, "Synchronous": True, "Permissive": permissive}
        return self._post("/modalities/lapidicom/store", json.dumps(order).encode())

    def echo(self) -> dict[str, Any]:
        """C-ECHO the modality."""
        return self._post("/modalities/lapidicom/echo", b"{}")

    def log_text(self) -> str:
        """What it logged: a permissive store tells of a refusal nowhere else."""
        return self._log_file.read_text(errors="replace")

    def _answers(self) -> bool:
        try:
            self._request("GET", "/system", None)
        except OSError:
            return False
        return True

    def _post(self, path: str, body: bytes) -> dict[str, Any]:
        status, answer = self._request("POST", path, body)
        assert status == 200, f"{path}: {status} {answer!r}"
        found: dict[str, Any] = json.loads(answer)
        return found

    def _request(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
