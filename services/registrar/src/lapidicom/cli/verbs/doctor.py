"""`lapidicom doctor`: everything that lapidicom needs, checked one by one, each failure with its remedy."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated

import typer
from aio_pika.abc import AbstractConnection

from lapidicom.cli import broker_checks as broker
from lapidicom.cli.answers import HIDDEN, Answer, Display
from lapidicom.cli.check import Check, Result, failed, passed, unseen
from lapidicom.cli.cube import cube_client
from lapidicom.cli.cube_checks import AREA as CUBE
from lapidicom.cli.cube_checks import NO_CUBE, READ_SECONDS, ask_cube
from lapidicom.cli.errors import ExitStatus, NotVisible
from lapidicom.cli.in_thread import of_volume
from lapidicom.cli.installed_settings import installed
from lapidicom.cli.management import Management, management
from lapidicom.cli.queues import broker_version, count
from lapidicom.cli.services import ask_services
from lapidicom.cli.shell import Because, Shell, command
from lapidicom.cli.snapshot import ServiceLook
from lapidicom.cli.volume import check_volume, stored_file
from lapidicom.common.broker import BrokerError, declare, redacted
from lapidicom.common.settings import Section, SettingsError, load
from lapidicom.common.settings.unknown import names, unknown
from lapidicom.common.topology import Topology, topology


class Examined(Answer):
    """All checks, and what was declared."""

    passed: Annotated[bool, HIDDEN]
    declared: list[str]
    checks: Annotated[list[Check], Display("")]

    def headline(self) -> list[str]:
        """How many passed."""
        counts = {result: sum(one.result is result for one in self.checks) for result in Result}
        return [
            f"{counts[Result.PASS]} passed, {counts[Result.FAIL]} failed, "
            f"{counts[Result.NOT_VISIBLE]} not visible from here"
        ]


@command("lapidicom doctor", "lapidicom doctor --json", "lapidicom doctor --fix --because 'new virtual host'")
def doctor(
    shell: Shell,
    fix: Annotated[
        bool, typer.Option("--fix", help="Declare exchanges, queues and bindings that are missing.")
    ] = False,
    because: Because = "",
) -> ExitStatus:
    """Check everything that lapidicom needs; each failure comes with its remedy.

    Changes nothing without --fix: rights are asked for by requests that must be refused for their form; the
    volume is tried with scratch files, which are removed. With --fix what is missing in RabbitMQ is declared;
    what exists is never touched. Exit status 1 if a check fails.
    """
    examined = shell.run(_examine(shell, because, fix=fix))
    shell.output.show(examined)
    return ExitStatus.OK if examined.passed else ExitStatus.FAILED


async def _examine(shell: Shell, because: str, *, fix: bool) -> Examined:
    """Make all checks, each area by itself: what is away fails alone."""
    settings = shell.settings
    url = settings.management_url
    declared: list[str] = []
    needed = int(settings.min_free_space)
    async with management(url.get_secret_value() if url else None, shell.amqp_url) as api:
        checks = [
            *await _volume(partial(check_volume, settings.files_root, settings.spool, needed)),
            *await _broker(shell, api, because if fix else None, declared),
            *await _cube(shell),
            *_services(await ask_services("receiver", settings.receiver_urls), "receiver"),
            *_services(await ask_services("registrar", settings.registrar_urls), "registrar"),
            *check_settings(installed(), shell.environ),
        ]
    is_well = all(check.result is not Result.FAIL for check in checks)
    return Examined(passed=is_well, declared=declared, checks=checks)


async def _volume(look: Callable[[], list[Check]]) -> list[Check]:
    try:
        return await of_volume(look)
    except OSError as error:
        return [failed("volume", "answers", str(error.strerror), "mend the (network) file system")]


async def _broker(shell: Shell, api: Management, because: str | None, declared: list[str]) -> list[Check]:
    """All checks of RabbitMQ; given a reason, what is missing is declared first."""
    settings = shell.settings
    wanted = topology(settings.retry_delays, settings.park_delay)
    try:
        async with shell.connection() as link:
            if because is not None:
                _, missing = await _topology(link, api, wanted)
                declared += await _declare(shell, link, missing, because)
            checks, _ = await _topology(link, api, wanted)
            former = {name: await count(link, name) for name in broker.OF_FORMER_QUEUES}
            return [
                passed(broker.AREA, "reachable", f"virtual host {api.vhost}"),
                broker.check_version(broker_version(link)),
                broker.check_flags(await api.get("feature-flags")),
                broker.check_alarms(await api.alarms()),
                *await broker.check_rights(link, wanted),
                *checks,
                *(
                    failed(
                        broker.AREA,
                        name,
                        f"left over, with {seen.ready} messages",
                        broker.OF_FORMER_QUEUES[name],
                    )
                    for name, seen in former.items()
                    if seen is not None and seen.ready
                ),
                *broker.check_policies(
                    wanted,
                    await api.queues(),
                    await api.of_vhost("policies"),
                    await api.of_vhost("operator-policies"),
                ),
            ]
    except BrokerError as error:
        seen = f"{redacted(shell.amqp_url)}: {error}"
        return [failed(broker.AREA, "reachable", seen, "check AMQP_URL, its user, and that RabbitMQ runs")]


async def _topology(
    link: AbstractConnection, api: Management, wanted: Topology
) -> tuple[list[Check], Topology]:
    exchanges, bindings = await api.of_vhost("exchanges"), await api.of_vhost("bindings")
    return await broker.check_topology(link, wanted, await api.queues(), exchanges, bindings)


async def _declare(shell: Shell, link: AbstractConnection, missing: Topology, because: str) -> list[str]:
    bindings = [f"{one.exchange} -- {one.routing_key} -> {one.queue}" for one in missing.bindings]
    declared = [*missing.exchanges, *(queue.name for queue in missing.queues)]
    if not declared and not bindings:
        return []
    async with shell.audited(because, ", ".join(declared) or "bindings", len(declared) + len(bindings)):
        await declare(link, missing)
    return [*declared, *bindings]


async def _cube(shell: Shell) -> list[Check]:
    section = shell.settings.cube
    if section is None:
        return [unseen(CUBE, "reachable", NO_CUBE.reason, "set them as the registrar has them")]
    try:
        stored = await of_volume(partial(stored_file, shell.settings.files_root, shell.settings.spool))
    except OSError as error:
        stored = NotVisible(str(error.strerror))
    async with cube_client(section, READ_SECONDS) as cube:
        return await ask_cube(cube, section, shell.settings.registration_unit, stored)


def _services(found: Sequence[ServiceLook], service: str) -> list[Check]:
    """One check for each process."""
    if not found:
        setting = f"CHRIS_{service.upper()}_URL"
        return [unseen("services", f"{service}s", f"{setting} is not set", f"set {setting}")]
    return [
        failed("services", f"{one.service} {one.address}", "; ".join(one.reasons), "mend what it names")
        if one.reasons or not one.ready
        else passed("services", f"{one.service} {one.address}", "ready")
        for one in found
    ]


def check_settings(models: Mapping[str, type[Section]], environ: Mapping[str, str]) -> list[Check]:
    """Whether each service could start with the settings here, and somebody reads each CHRIS_* variable.

    Args:
        models: of the services that are installed here; of others nobody knows the names.
        environ: of this process.
    """
    checks = []
    for service, model in models.items():
        try:
            load(model, environ)
        except SettingsError as error:
            lines = str(error).splitlines()
            what = unseen if all(" is not set" in line for line in lines) else failed
            checks.append(what("settings", f"of the {service}", "; ".join(lines), "see docs/settings.md"))
        else:
            checks.append(passed("settings", f"of the {service}", "complete"))
    name = "names of CHRIS_* variables"
    found = unknown(environ, frozenset[str]().union(*map(names, models.values())))
    seen = ", ".join(found)
    if not found:
        return [*checks, passed("settings", name, "all known")]
    if "receiver" not in models:
        seen = f"{seen}: unknown here, where no receiver is installed"
        return [*checks, unseen("settings", name, seen, "lapidicom doctor beside a receiver")]
    meant = ", ".join(f"{one}: is {nearest} meant?" for one, nearest in found.items() if nearest)
    return [*checks, failed("settings", name, f"nobody reads {seen}", meant or "remove them")]
