"""The settings models of all services that are installed, without importing one for another."""

from lapidicom.cli.installed_settings import installed
from lapidicom.cli.settings import CommandSettings
from lapidicom.receiver.settings import ReceiverSettings
from lapidicom.registrar.settings import RegistrarSettings


def test_each_installed_service_names_its_settings() -> None:
    models = installed()
    assert models == {"cli": CommandSettings, "receiver": ReceiverSettings, "registrar": RegistrarSettings}
    assert list(models) == ["cli", "receiver", "registrar"]
