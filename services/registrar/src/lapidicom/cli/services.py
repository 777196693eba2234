"""What receivers and registrars say of themselves: their /readyz, where the settings tell where they are."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

import httpx

from lapidicom.cli.answers import NotVisible
from lapidicom.cli.http import SECONDS, get, http_client
from lapidicom.cli.snapshot import ServiceLook
from lapidicom.common.network_errors import describe_network_error

_MOST: Final = 50
"""Processes of one address."""


async def ask_services(service: str, urls: Sequence[str]) -> list[ServiceLook] | NotVisible:
    """Ask all of one service at the same time.

    Args:
        service: `receiver` or `registrar`.
        urls: such as `http://receiver:8080`; a name with several addresses stands for as many processes.
    """
    if not urls:
        return NotVisible(f"CHRIS_{service.upper()}_URL is not set")
    async with http_client() as http:
        asked = await asyncio.gather(*(_ask(http, service, httpx.URL(url)) for url in urls))
    return [one for found in asked for one in found]


async def _ask(http: httpx.AsyncClient, service: str, url: httpx.URL) -> list[ServiceLook]:
    try:
        hosts = await _addresses(url)
    except OSError as error:
        return [_silent(service, url.netloc.decode(), _reason(error, url))]
    return await asyncio.gather(*(_readiness(http, service, url, host) for host in hosts))


def _reason(error: Exception, url: httpx.URL) -> str:
    return f"/readyz does not answer: {describe_network_error(error, str(url))}"


async def _addresses(url: httpx.URL) -> list[str]:
    """All addresses of a name, of one family: the second one would be the same processes again."""
    if url.scheme != "http":
        return [url.host]  # by its address alone no server's certificate fits
    port = url.port or 80
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(SECONDS):
        found = await loop.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    family = min(entry[0] for entry in found)
    return sorted({str(entry[4][0]) for entry in found if entry[0] == family})[:_MOST]


async def _readiness(http: httpx.AsyncClient, service: str, url: httpx.URL, host: str) -> ServiceLook:
    target = url.copy_with(host=host)
    address = target.netloc.decode()
    try:
        response = await get(http, target.join("/readyz"), headers={"Host": url.netloc.decode()})
        answer = response.json()
        ready, reasons = bool(answer["ready"]), [str(one) for one in answer["reasons"]]
        degraded = answer.get("degraded") or ()
        reasons += [str(one) for one in degraded] if isinstance(degraded, list) else []
    except (httpx.HTTPError, TimeoutError) as error:
        return _silent(service, address, _reason(error, url))
    except (ValueError, KeyError, TypeError):
        return _silent(service, address, f"what answers there is no {service}")
    return ServiceLook(service=service, address=address, ready=ready, reasons=reasons)


def _silent(service: str, address: str, reason: str) -> ServiceLook:
    return ServiceLook(service=service, address=address, ready=False, reasons=[reason])
