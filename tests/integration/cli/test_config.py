"""`lapidicom config`: what a service would have in this environment."""

from pathlib import Path

from lapidicom.common.settings.described import describe
from lapidicom.registrar.settings import RegistrarSettings
from tests.support.command import in_process

SECRET = "s3cr3t-geheim"
ENVIRONMENT = {
    "AMQP_URL": f"amqp://user:{SECRET}@rabbit:5672/chris",
    "CHRIS_URL": "http://chris:8000/api/v1/",
    "CHRIS_USERNAME": "chris",
    "CHRIS_FILES_ROOT": "/data",
}


def test_each_setting_is_told_with_value_source_default_and_meaning_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(SECRET)
    ended = in_process(
        "config", "registrar", "--json", CHRIS_PASSWORD_FILE=str(tmp_path / "password"), **ENVIRONMENT
    )
    assert ended.status == 0
    assert SECRET not in ended.out + ended.err
    (told,) = ended.document["services"].values()
    assert {one["name"] for one in told["settings"]} == {one.name for one in describe(RegistrarSettings)}
    by_name = {one["name"]: one for one in told["settings"]}
    assert by_name["CHRIS_PASSWORD"] == {
        "name": "CHRIS_PASSWORD",
        "value": "***",
        "source": "file",
        "file": str(tmp_path / "password"),
        "default": "",
        "required": True,
        "secret": True,
        "meaning": "The password of CUBE's user.",
    }
    assert by_name["AMQP_URL"]["value"] == "amqp://rabbit:5672/chris"
    assert by_name["CHRIS_PUSHER_THREADS"]["source"] == "default"
    assert (told["faults"], ended.document["unknown"]) == ([], [])


def test_what_would_stop_the_service_is_told_and_is_status_1() -> None:
    ended = in_process("config", "registrar", "--json", **ENVIRONMENT, CHRIS_HTTP_RETRIES="many")
    assert ended.status == 1
    faults = ended.document["services"]["registrar"]["faults"]
    assert [fault.split()[0] for fault in faults] == ["CHRIS_PASSWORD", "CHRIS_HTTP_RETRIES='many':"]


def test_a_variable_that_nobody_reads_is_told_with_the_one_that_is_meant() -> None:
    ended = in_process("config", "cli", AMQP_URL=ENVIRONMENT["AMQP_URL"], CHRIS_FILE_ROOT="/data")
    assert ended.status == 1
    assert ended.lines[-1] == "unknown: CHRIS_FILE_ROOT; is CHRIS_FILES_ROOT meant?"
    assert SECRET not in ended.out


def test_without_a_name_all_services_that_are_installed_are_told() -> None:
    assert list(in_process("config", "--json").document["services"]) == ["cli", "receiver", "registrar"]


def test_a_service_that_is_not_installed_is_one_line_and_status_2() -> None:
    ended = in_process("config", "recevier")
    assert (ended.status, ended.out) == (2, "")
    assert (
        ended.err == "lapidicom: no service 'recevier' is installed here: one of: cli, receiver, registrar\n"
    )
