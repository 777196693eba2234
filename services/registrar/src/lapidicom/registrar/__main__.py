"""Entry point of `lapidicom-registrar`."""

import os
import sys
from collections.abc import Mapping

import httpx
import uvloop

from lapidicom.common import logs
from lapidicom.common.settings import LogSection, SettingsError, load
from lapidicom.registrar.app import serve
from lapidicom.registrar.settings import RegistrarSettings

WRONG_SETTINGS = 2


def read_settings(environ: Mapping[str, str]) -> RegistrarSettings:
    """Read the settings and check what only a look can tell.

    Raises:
        SettingsError: with one line per fault.
    """
    settings = load(RegistrarSettings, environ)
    faults = []
    try:
        usable = bool(httpx.URL(settings.cube_url).host)
    except httpx.InvalidURL:
        usable = False
    if not usable:
        faults.append(f"CHRIS_URL={settings.cube_url!r}: not a URL")
    if not settings.files_root.is_dir():
        faults.append(f"CHRIS_FILES_ROOT={settings.files_root}: not an existing directory")
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def main() -> None:
    """Run until SIGTERM; exit status 2 if the settings are wrong."""
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(WRONG_SETTINGS)
    logs.configure(settings.slice(LogSection), service="registrar")
    uvloop.run(serve(settings))


if __name__ == "__main__":
    main()
