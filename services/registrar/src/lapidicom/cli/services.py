"""What receivers and registrars say of themselves: their /readyz, where the settings tell where they are."""

import asyncio
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import httpx

from lapidicom.common.network_errors import describe_network_error

_SECONDS: Final = 5.0
_MOST: Final = 50
"""Processes of one address."""


class Service(StrEnum):
    """Which service."""

    RECEIVER = "receiver"
    REGISTRAR = "registrar"


@dataclass(frozen=True, slots=True)
class Readiness:
    """What one process says.

    Attributes:
        service: which it is.
        address: host and port.
        ready: false also where nobody answers.
        reasons: why it is not ready, or degraded, in its own words; or why it cannot be asked.
    """

    service: Service
    address: str
    ready: bool
    reasons: tuple[str, ...] = ()


async def ask_services(service: Service, urls: Iterable[str]) -> list[Readiness]:
    """Ask all of one service at the same time.

    Args:
        service: which.
        urls: such as `http://receiver:8080`; a name with several addresses stands for as many processes.
    """
    async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as http:
        asked = await asyncio.gather(*(_ask(http, service, httpx.URL(url)) for url in urls))
    return [one for found in asked for one in found]


async def _ask(http: httpx.AsyncClient, service: Service, url: httpx.URL) -> list[Readiness]:
    try:
        hosts = await _addresses(url)
    except OSError as error:
        return [Readiness(service, url.netloc.decode(), False, (_reason(error, url),))]
    return await asyncio.gather(*(_readiness(http, service, url, host) for host in hosts))


def _reason(error: Exception, url: httpx.URL) -> str:
    return f"/readyz does not answer: {describe_network_error(error, str(url))}"


async def _addresses(url: httpx.URL) -> list[str]:
    """All addresses of a name, of one family: the second one would be the same processes again."""
    if url.scheme != "http":
        return [url.host]  # by its address alone no server's certificate fits
    port = url.port or 80
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_SECONDS):
        found = await loop.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    family = min(entry[0] for entry in found)
    return sorted({str(entry[4][0]) for entry in found if entry[0] == family})[:_MOST]


async def _readiness(http: httpx.AsyncClient, service: Service, url: httpx.URL, host: str) -> Readiness:
    target = url.copy_with(host=host)
    address = target.netloc.decode()
    try:
        response = await http.get(target.join("/readyz"), headers={"Host": url.netloc.decode()})
        told = response.json()
        ready, reasons = bool(told["ready"]), [str(one) for one in told["reasons"]]
        degraded = told.get("degraded") or ()
        reasons += [str(one) for one in degraded] if isinstance(degraded, list) else []
    except httpx.HTTPError as error:
        return Readiness(service, address, False, (_reason(error, url),))
    except (ValueError, KeyError, TypeError):
        return Readiness(service, address, False, (f"what answers there is no {service}",))
    return Readiness(service, address, ready, tuple(reasons))
