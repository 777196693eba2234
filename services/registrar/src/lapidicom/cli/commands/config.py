"""`lapidicom config`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.shell import Shell, command
from lapidicom.common.settings import Section, SettingsError, load
from lapidicom.common.settings.described import Effective, effective
from lapidicom.common.settings.installed import installed
from lapidicom.common.settings.unknown import names, unknown


@command(
    "lapidicom config",
    "lapidicom config receiver",
    "lapidicom config --json",
)
def config(
    shell: Shell,
    service: Annotated[
        str, typer.Argument(help="receiver, registrar or cli: as installed here. Default: all.")
    ] = "",
) -> ExitStatus:
    """Show the settings that a service would have in this environment; secrets are masked.

    Each with its value, source (environment, NAME_FILE, default), default and meaning. Exit status 1 if a
    service could not start with them, or a CHRIS_* variable is one that nobody reads.
    """
    models = installed()
    if service and service not in models:
        raise OperatorError(
            f"no service {service!r} is installed here", f"one of: {', '.join(models)}", ExitStatus.UNUSABLE
        )
    wanted = {service: models[service]} if service else models
    told = {name: effective(model, shell.environ) for name, model in wanted.items()}
    faults = {name: _faults(model, shell.environ) for name, model in wanted.items()}
    unknown = _unknown(models, shell.environ)
    if shell.output.json:
        shell.output.document(_document(told, faults, unknown))
    else:
        _print(shell, told, faults, unknown)
    return ExitStatus.FAILED if any(faults.values()) or unknown else ExitStatus.OK


def _faults(model: "type[Section]", environ: Mapping[str, str]) -> list[str]:
    try:
        load(model, environ)
    except SettingsError as error:
        return str(error).splitlines()
    return []


def _unknown(models: Mapping[str, "type[Section]"], environ: Mapping[str, str]) -> dict[str, str | None]:
    """Variables that nobody reads: of services that are not installed here nobody knows, so not judged."""
    if "receiver" not in models:
        return {}
    return unknown(environ, frozenset[str]().union(*map(names, models.values())))


def _document(
    told: Mapping[str, "Sequence[Effective]"],
    faults: Mapping[str, Sequence[str]],
    unknown: Mapping[str, str | None],
) -> dict[str, Any]:
    return {
        "services": {
            name: {
                "settings": [
                    {
                        "name": one.described.name,
                        "value": one.value,
                        "source": one.source,
                        "file": one.file or None,
                        "default": one.described.default,
                        "required": one.described.required,
                        "secret": one.described.secret,
                        "meaning": one.described.meaning,
                    }
                    for one in settings
                ],
                "faults": list(faults[name]),
            }
            for name, settings in told.items()
        },
        "unknown": [{"name": name, "nearest": nearest} for name, nearest in unknown.items()],
    }


def _print(
    shell: Shell,
    told: Mapping[str, "Sequence[Effective]"],
    faults: Mapping[str, Sequence[str]],
    unknown: Mapping[str, str | None],
) -> None:
    output = shell.output
    for name, settings in told.items():
        output.table(
            ["variable", "value", "source", "default", "meaning"],
            [
                (
                    one.described.name,
                    one.value,
                    f"{one.source} {one.file}" if one.file else one.source,
                    one.described.default,
                    one.described.meaning,
                )
                for one in settings
            ],
            title=name,
        )
        for fault in faults[name]:
            output.text(f"wrong: {fault}", "bold red")
        output.text()
    for name, nearest in unknown.items():
        output.text(f"unknown: {name}" + (f"; is {nearest} meant?" if nearest else ""), "yellow")
