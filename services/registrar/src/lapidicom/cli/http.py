"""Looks by HTTP at RabbitMQ's management API and at /readyz: one deadline for each whole answer.

httpx's own time-out begins anew with every byte, and its own TLS context does not honour SSL_CERT_FILE.
"""

import asyncio
import functools
import ssl
from typing import Any, Final

import httpx

SECONDS: Final = 5.0
"""For a whole answer, and for each step of a connection."""


def http_client(**options: Any) -> httpx.AsyncClient:
    """A client without the environment's proxies and passwords, to be used as a context.

    Args:
        **options: of httpx.AsyncClient.
    """
    return httpx.AsyncClient(timeout=SECONDS, trust_env=False, verify=_tls(), **options)


async def get(http: httpx.AsyncClient, url: httpx.URL | str, **options: Any) -> httpx.Response:
    """The whole answer to a GET.

    Args:
        http: the client.
        url: may be relative to its base.
        **options: of httpx.AsyncClient.get.

    Raises:
        httpx.HTTPError, TimeoutError: there is none, or not in time.
    """
    async with asyncio.timeout(SECONDS):
        return await http.get(url, **options)


@functools.cache
def _tls() -> ssl.SSLContext:
    """One for all: to read the CAs takes as long as many requests, and --watch asks every two seconds."""
    return ssl.create_default_context()
