from pathlib import Path

import pytest

from lapidicom.cli.settings import CommandSettings
from lapidicom.common.settings import AmqpSection, CubeSection, FilesSection, SettingsError, load
from lapidicom.common.settings.unknown import names
from lapidicom.registrar.settings import RegistrarSettings

URL = "amqp://who:secret@broker.example/"
CUBE = {
    "CHRIS_URL": "http://chris:8000/api/v1/",
    "CHRIS_USERNAME": "chris",
    "CHRIS_PASSWORD": "chris1234",
}


def test_only_amqp_url_must_be_set_and_the_rest_is_not_visible() -> None:
    settings = load(CommandSettings, {"AMQP_URL": URL})
    assert (settings.cube, settings.files_root, settings.spool, settings.management_url) == (None,) * 4


def test_the_variables_are_those_of_the_services() -> None:
    shared = names(AmqpSection) | names(CubeSection) | names(FilesSection)
    assert shared <= names(RegistrarSettings) & names(CommandSettings)


def test_cube_is_visible_once_all_three_variables_are_set(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("chris1234\n")
    parts = {"CHRIS_URL": CUBE["CHRIS_URL"], "CHRIS_USERNAME": "chris", "CHRIS_PASSWORD_FILE": str(secret)}
    cube = load(CommandSettings, {"AMQP_URL": URL, **parts}).cube
    assert cube is not None
    assert (cube.cube_url, cube.cube_password.get_secret_value()) == (CUBE["CHRIS_URL"], "chris1234")
    for name in parts:
        assert load(CommandSettings, {"AMQP_URL": URL, **parts, name: ""}).cube is None


def test_the_spool_is_below_the_volume_unless_it_is_named() -> None:
    volume = {"AMQP_URL": URL, "CHRIS_FILES_ROOT": "/files"}
    assert load(CommandSettings, volume).spool == Path("/files/.lapidicom")
    assert load(CommandSettings, volume | {"CHRIS_SPOOL_DIR": "/spool"}).spool == Path("/spool")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"AMQP_URL": ""}, "AMQP_URL is not set"),
        ({"AMQP_URL": "http://who:secret@x"}, "must look like amqp://"),
        ({"AMQP_MANAGEMENT_URL": "who:secret@x:15672"}, "must look like http://"),
        ({"AMQP_MANAGEMENT_URL": "http://who:secret@x:0"}, "must look like http://"),
        ({"AMQP_MANAGEMENT_URL": "http://who:secret@[x"}, "must look like http://"),
        ({"CHRIS_URL": "chris:8000"}, "CHRIS_URL='chris:8000'"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_is_told(changes: dict[str, str], expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(CommandSettings, {"AMQP_URL": URL} | changes)
    assert expected in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://cube/api/v1", "http://cube/api/v1/"])
def test_cubes_address_ends_in_a_slash_for_all_who_read_it(url: str) -> None:
    account = {"CHRIS_URL": url, "CHRIS_USERNAME": "chris", "CHRIS_PASSWORD": "x"}
    assert CubeSection.model_validate(account).cube_url == "http://cube/api/v1/"
