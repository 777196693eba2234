"""The stack's PACS: Orthanc's REST API, by which it takes instances and is told to send them."""

import http.client
import json
from collections.abc import Sequence
from typing import Any

CALLING_AET = "ORTHANC"
"""As deploy/compose/orthanc.json says."""


class PacsError(Exception):
    """Orthanc is away, or could not do it."""


class Pacs:
    """Orthanc, asked at a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    def take(self, file: bytes) -> str:
        """Upload an instance; returns Orthanc's name for it.

        Raises:
            PacsError: it was not taken, or nobody knows.
        """
        return str(self._post("/instances", file)["ID"])

    def send(self, names: Sequence[str]) -> None:
        """C-STORE instances to lapidicom in one association; a return means: 0x0000 for every one.

        Raises:
            PacsError: for one at least there was no success.
        """
        order = {"Resources": list(names), "Synchronous": True, "Permissive": False, "Timeout": 60}
        said = self._post("/modalities/lapidicom/store", json.dumps(order).encode())
        if said.get("FailedInstancesCount") or said.get("InstancesCount", len(names)) != len(names):
            raise PacsError(f"Orthanc says {said}")

    def _post(self, path: str, body: bytes) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        try:
            connection.request("POST", path, body)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise PacsError(f"Orthanc does not answer: {error!r}") from None
        finally:
            connection.close()
        if answer.status != 200:
            raise PacsError(f"{path}: {answer.status}")
        found: dict[str, Any] = json.loads(text)
        return found
