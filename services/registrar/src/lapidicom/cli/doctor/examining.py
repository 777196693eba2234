"""Makes all checks, each area by itself: what is away fails alone."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Final

import httpx

from lapidicom.cli.connection import connected
from lapidicom.cli.cube_look import AREA as CUBE
from lapidicom.cli.cube_look import NO_CUBE, ask_cube, cube_client
from lapidicom.cli.doctor import broker
from lapidicom.cli.doctor.check import Check, failed, passed, unseen
from lapidicom.cli.doctor.environment import check_clock, check_settings
from lapidicom.cli.doctor.volume import check_volume
from lapidicom.cli.errors import NotVisible
from lapidicom.cli.in_thread import of_volume
from lapidicom.cli.management import NO_MANAGEMENT, Management, management, vhost_of
from lapidicom.cli.services import Readiness, Service, ask_services
from lapidicom.cli.settings import CommandSettings
from lapidicom.cli.status.volume import stored_file
from lapidicom.common.broker import BrokerError, redacted
from lapidicom.common.network_errors import describe_network_error
from lapidicom.common.settings import Section
from lapidicom.common.topology import topology

_DATE_SECONDS: Final = 5.0

Models = Mapping[str, type[Section]]


async def examine(settings: CommandSettings, models: Models, environ: Mapping[str, str]) -> list[Check]:
    """Make all checks.

    Args:
        settings: of the command.
        models: settings of the services that are installed here.
        environ: of this process.
    """
    url = settings.management_url
    amqp_url = settings.amqp_url.get_secret_value()
    async with management(url.get_secret_value() if url else None, amqp_url) as api:
        return [
            *await _volume(
                partial(check_volume, settings.files_root, settings.spool, int(settings.min_free_space))
            ),
            *await _broker(settings, api),
            *await _cube(settings),
            *_services(await ask_services(Service.RECEIVER, settings.receiver_urls), "receiver"),
            *_services(await ask_services(Service.REGISTRAR, settings.registrar_urls), "registrar"),
            check_settings(models, environ),
            *await _clocks(settings, api),
        ]


async def _volume(look_at: Callable[[], list[Check]]) -> list[Check]:
    try:
        return await of_volume(look_at)
    except OSError as error:
        return [failed("volume", "answers", str(error.strerror), "mend the file system")]


async def _broker(settings: CommandSettings, api: Management | None) -> list[Check]:
    amqp_url = settings.amqp_url.get_secret_value()
    declared = topology(settings.retry_delays, settings.park_delay)
    try:
        async with connected(amqp_url, "doctor") as link:
            return await broker.check_broker(link, api, declared, vhost_of(amqp_url))
    except BrokerError as error:
        told = f"{redacted(amqp_url)}: {error}"
        return [failed(broker.AREA, "reachable", told, "check AMQP_URL, its user, and that RabbitMQ runs")]


async def _cube(settings: CommandSettings) -> list[Check]:
    section = settings.cube
    if section is None:
        return [unseen(CUBE, "reachable", NO_CUBE, "set them as the registrar has them")]
    stored = await _stored(settings.files_root, settings.spool)
    async with cube_client(section) as cube:
        return await ask_cube(cube, section, settings.registration_unit, stored)


async def _stored(files_root: Path | None, spool: Path | None) -> str | NotVisible:
    if files_root is None or spool is None:
        return NotVisible("CHRIS_FILES_ROOT is not set")
    try:
        return await of_volume(partial(stored_file, files_root, spool))
    except OSError as error:
        return NotVisible(str(error.strerror))


def _services(told: Sequence[Readiness], setting: str) -> list[Check]:
    """One check for each process."""
    if not told:
        return [unseen("services", f"{setting}s", f"CHRIS_{setting.upper()}_URL is not set", "set it")]
    return [
        failed("services", f"{one.service} {one.address}", "; ".join(one.reasons), "mend what it names")
        if one.reasons or not one.ready
        else passed("services", f"{one.service} {one.address}", "ready")
        for one in told
    ]


async def _clocks(settings: CommandSettings, api: Management | None) -> list[Check]:
    theirs = NO_MANAGEMENT if api is None else await api.clock()
    checks = [check_clock("RabbitMQ", theirs, datetime.now(UTC))]
    theirs = NO_CUBE if settings.cube_url is None else await _date(settings.cube_url)
    return [*checks, check_clock(CUBE, theirs, datetime.now(UTC))]


async def _date(url: str) -> datetime | NotVisible:
    """What a server's Date header says; asked without credentials."""
    try:
        async with httpx.AsyncClient(timeout=_DATE_SECONDS, trust_env=False) as http:
            response = await http.get(url, headers={"Accept": "application/json"})
        return parsedate_to_datetime(response.headers["date"])
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return NotVisible(f"no answer: {describe_network_error(error, url)}")
    except (KeyError, ValueError):
        return NotVisible("its answer has no Date header")
