"""What each child is given of the settings, and what its environment keeps."""

from pathlib import Path

from lapidicom.common.settings.unknown import names
from lapidicom.receiver.settings import ListenerSettings, ReceiverSettings, RelaySettings
from lapidicom.receiver.supervisor.app import OF_THE_REGISTRAR, child_command, child_slices, without_settings
from lapidicom.receiver.supervisor.child import Role
from lapidicom.registrar.settings import RegistrarSettings

SETTINGS = ReceiverSettings.model_validate(
    {
        "CHRIS_FILES_ROOT": "/data",
        "AMQP_URL": "amqp://user:secret@broker/",
        "CHRIS_LISTENER_THREADS": "16",
        "CHRIS_SCP_AET": "HERE",
    }
)


def test_each_listener_gets_its_share_of_the_places() -> None:
    slices = [ListenerSettings.parse_slice(text) for text in child_slices(SETTINGS, 3)[Role.LISTENER]]
    assert [one.listener_threads for one in slices] == [6, 5, 5]
    assert {one.files_root for one in slices} == {Path("/data")}


def test_a_listener_is_not_given_the_secret_of_the_broker() -> None:
    assert not any("secret" in text for text in child_slices(SETTINGS, 3)[Role.LISTENER])


def test_the_relay_is() -> None:
    [text] = child_slices(SETTINGS, 3)[Role.RELAY]
    settings = RelaySettings.parse_slice(text)
    assert settings.amqp_url.get_secret_value() == "amqp://user:secret@broker/"
    assert settings.aet == "HERE"


def test_the_environment_of_a_child_holds_no_setting() -> None:
    environ = {"PATH": "/bin", "AMQP_URL": "secret", "AMQP_URL_FILE": "/run/secret", "OTEL_SERVICE_NAME": "x"}
    assert without_settings(environ) == {"PATH": "/bin", "OTEL_SERVICE_NAME": "x"}


def test_a_child_is_a_module_of_the_receiver_run_by_this_interpreter() -> None:
    assert child_command(Role.RELAY)[1:] == ("-m", "lapidicom.receiver.relay")


def test_the_settings_of_the_registrar_are_known_to_the_receiver() -> None:
    others = names(RegistrarSettings) - names(ReceiverSettings)
    assert {name for name in others if name.startswith("CHRIS_")} == OF_THE_REGISTRAR
