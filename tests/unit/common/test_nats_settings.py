"""CHRIS_NATS_URL: which forms are taken, what a wrong one says, and that its password is not shown."""

from importlib.machinery import ModuleSpec

import pytest

from lapidicom.common.settings import NatsSection, SettingsError, load, sections


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("nats://nats:4222", "nats://nats:4222"),
        ("nats:4222", "nats://nats:4222"),  # as oxidicom's
        ("tls://user:password@nats.example.org", "tls://user:password@nats.example.org"),
        ("nats://token@[::1]:4222", "nats://token@[::1]:4222"),
        ("", None),
    ],
)
def test_the_address_of_nats(given: str, taken: str | None) -> None:
    settings = load(NatsSection, {"CHRIS_NATS_URL": given})
    assert settings.nats_address == taken
    assert NatsSection.parse_slice(settings.dump_slice()).nats_address == taken


@pytest.mark.parametrize(
    "wrong",
    ["http://secret@nats:4222", "nats://", "nats://secret@nats:x", "nats://secret@nats/path", "nats://a:0"],
)
def test_a_wrong_address_is_refused_and_not_shown(wrong: str) -> None:
    with pytest.raises(SettingsError, match=r"CHRIS_NATS_URL=\*\*\*: must look like nats://") as refused:
        load(NatsSection, {"CHRIS_NATS_URL": wrong})
    assert "secret" not in str(refused.value)


def test_without_nats_own_client_the_start_is_refused_with_the_extra_that_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing(name: str) -> ModuleSpec | None:
        assert name == "nats"
        return None

    monkeypatch.setattr(sections, "find_spec", nothing)
    assert load(NatsSection, {}).nats_address is None
    with pytest.raises(SettingsError, match="install the extra `nats`"):
        load(NatsSection, {"CHRIS_NATS_URL": "nats://nats:4222"})
