import pytest

from lapidicom.common.amqp_url import check, redacted, with_heartbeat


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("amqp://u:p@host/v", "amqp://u:p@host/v?heartbeat=10"),
        ("amqp://u:p@host/v?name=x", "amqp://u:p@host/v?name=x&heartbeat=10"),
        ("amqp://u:p@host/v?heartbeat=2", "amqp://u:p@host/v?heartbeat=2"),
        ("amqp://u:p@host/v?name=x&heartbeat=0", "amqp://u:p@host/v?name=x&heartbeat=0"),
    ],
)
def test_a_heartbeat_is_added_unless_the_url_names_one(url: str, expected: str) -> None:
    assert with_heartbeat(url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("amqp://user:s3cret@host:5672/vhost?x=s3cret", "amqp://host:5672/vhost"),
        ("amqps://user:s3cret@host", "amqps://host"),
        ("amqp://user:s3cret@[::1]:5672/", "amqp://[::1]:5672/"),
        ("amqp://user:s3cret@host:port/", "amqp://?"),
    ],
)
def test_a_redacted_url_has_no_credentials(url: str, expected: str) -> None:
    assert redacted(url) == expected


@pytest.mark.parametrize("url", ["amqp://host", "amqps://u:p@host:5671/v", "amqp://u:p@[::1]/"])
def test_a_usable_url_passes(url: str) -> None:
    check(url)


@pytest.mark.parametrize(
    "url",
    ["", "host:5672", "http://host/", "amqp://", "amqp://u:s3cret@host:port/", "amqp://u:s3cret@host:0/"],
)
def test_an_unusable_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="must look like") as caught:
        check(url)
    assert "s3cret" not in str(caught.value)
