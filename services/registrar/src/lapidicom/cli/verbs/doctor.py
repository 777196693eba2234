"""`lapidicom doctor`: everything that lapidicom needs, checked one by one, each failure with its remedy."""

from collections import Counter
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from lapidicom.cli.answers import HIDDEN, Answer, Check, Display, NotVisible, Result, checked, worst
from lapidicom.cli.broker_checks import check_broker, check_reachable, check_topology, unreachable
from lapidicom.cli.by_http import ask_services, management
from lapidicom.cli.cube_checks import check_cube, cube_of
from lapidicom.cli.errors import ExitStatus
from lapidicom.cli.settings import CommandSettings
from lapidicom.cli.shell import Because, Shell, command
from lapidicom.cli.volume import AREA as VOLUME
from lapidicom.cli.volume import check_volume, seen_of_volume
from lapidicom.common.broker import BrokerError, declare
from lapidicom.common.directory_cache import directory_cache_seconds
from lapidicom.common.network_errors import server_of
from lapidicom.common.settings import Section, SettingsError, load
from lapidicom.common.settings.unknown import names, unknown
from lapidicom.common.topology import topology
from lapidicom.registrar.series.settle_time import settle_time
from lapidicom.registrar.settings import SeriesSection


class Examined(Answer):
    """All checks, and what was declared."""

    passed: Annotated[bool, HIDDEN]
    declared: list[str]
    checks: Annotated[list[Check], Display("")]

    def headline(self) -> list[str]:
        """How many passed, and how many did not."""
        counts = Counter(one.result for one in self.checks)
        unseen = counts[Result.NOT_VISIBLE]
        failed = counts.total() - counts[Result.PASS] - unseen
        return [f"{counts[Result.PASS]} passed, {failed} failed, {unseen} not visible from here"]


@command("lapidicom doctor", "lapidicom doctor --json", "lapidicom doctor --fix --because 'new virtual host'")
async def doctor(
    shell: Shell,
    fix: Annotated[
        bool, typer.Option("--fix", help="Declare exchanges, queues and bindings that are missing.")
    ] = False,
    because: Because = "",
) -> ExitStatus:
    """Check everything that lapidicom needs; each failure comes with its remedy.

    Changes nothing without --fix: the volume is tried with scratch files, which are removed. With --fix what
    is missing in RabbitMQ is declared; what exists is never touched. Exit status 1 if a check fails.
    """
    settings = shell.settings
    declared: list[str] = []
    async with cube_of(settings) as cube:
        checks_of_cube = await check_cube(cube, settings)
    checks = [
        *await check_volume(settings),
        await check_settle_time(settings, shell.environ),
        *await _broker(shell, because if fix else None, declared),
        *checks_of_cube,
        *await check_nats(settings.nats_address),
        *await ask_services("receivers", settings.receiver_urls),
        *await ask_services("registrars", settings.registrar_urls),
        *check_settings(installed(), shell.environ),
    ]
    is_well = worst(checks).severity < Result.DEGRADED.severity
    shell.output.show(Examined(passed=is_well, declared=declared, checks=checks))
    return ExitStatus.OK if is_well else ExitStatus.FAILED


async def check_settle_time(settings: CommandSettings, environ: Mapping[str, str]) -> Check:
    """How long a series must be still before it is registered (CUBE 6), and why."""

    def choose(root: Path) -> str:
        chosen = settle_time(load(SeriesSection, environ), directory_cache_seconds(root))
        return f"after {chosen.seconds:g} s: {chosen.why}"

    try:
        seen = await seen_of_volume(choose, settings.files_root)
    except SettingsError as error:
        seen = NotVisible(str(error))
    unseen = seen if isinstance(seen, NotVisible) else ""
    return checked(VOLUME, "series settle", unseen, str(seen), "run this where a registrar runs")


async def check_nats(url: str | None) -> list[Check]:
    """Whether NATS can be reached; nothing if it is not wanted."""
    if url is None:
        return []
    from lapidicom.common.lonk_publisher import why_unreachable

    remedy = "check CHRIS_NATS_URL, and that NATS runs: without it CUBE 6 does not show how a series comes"
    fault = await why_unreachable(url) or ""
    return [checked("nats", "reachable", fault, server_of(url), remedy, bad=Result.DEGRADED)]


async def _broker(shell: Shell, because: str | None, declared: list[str]) -> list[Check]:
    """All checks of RabbitMQ; given a reason, what is missing is declared first."""
    wanted = topology(shell.settings.retry_delays, shell.settings.park_delay)
    try:
        async with management(shell.settings) as api, shell.connection() as link:
            if because is not None:
                _, missing = await check_topology(link, api, wanted)
                queues = (queue.name for queue in missing.queues)
                declared += [*missing.exchanges, *queues, *map(str, missing.bindings)]
                if declared:
                    async with shell.audited(because, ", ".join(declared), len(declared)):
                        await declare(link, missing)
            reachable = await check_reachable(link, api, shell.amqp_url)
            return [*reachable, *await check_broker(link, api, wanted)]
    except BrokerError as error:
        return [unreachable(shell.amqp_url, error)]


def installed() -> Mapping[str, type[Section]]:
    """The settings models of the services that are installed here, such as `receiver` and `registrar`.

    Each distribution names its model under an entry-point group: no service imports another one for it.
    """
    points = sorted(entry_points(group="lapidicom.settings"), key=lambda one: one.name)
    return {point.name: point.load() for point in points}


def check_settings(models: Mapping[str, type[Section]], environ: Mapping[str, str]) -> list[Check]:
    """Whether each service could start with the settings here, and somebody reads each CHRIS_* variable.

    Args:
        models: of the services that are installed here; of others nobody knows the names.
        environ: of this process.
    """
    checks = []
    for service, model in models.items():
        fault: str | NotVisible = ""
        try:
            load(model, environ)
        except SettingsError as error:
            lines = str(error).splitlines()
            fault = "; ".join(lines)
            if all(" is not set" in line for line in lines):
                fault = NotVisible(fault)
        checks.append(checked("settings", f"of the {service}", fault, "complete", "see docs/settings.md"))
    found = unknown(environ, frozenset[str]().union(*map(names, models.values())))
    fault = f"nobody reads {', '.join(found)}" if found else ""
    meant = ", ".join(f"{one}: is {nearest} meant?" for one, nearest in found.items() if nearest)
    if found and "receiver" not in models:
        fault = NotVisible(f"{', '.join(found)}: unknown here, where no receiver is installed")
        meant = "lapidicom doctor beside a receiver"
    return [
        *checks,
        checked("settings", "names of CHRIS_* variables", fault, "all known", meant or "remove them"),
    ]
