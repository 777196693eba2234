"""The AMQP URL: checked, given a heartbeat, and made fit for a log line."""

from urllib.parse import parse_qs, urlsplit

HEARTBEAT = 10
"""Seconds: a dead link is noticed after (heartbeat + 1) x 3."""


def check(url: str) -> None:
    """Check that the URL can be used at all.

    Raises:
        ValueError: with a text that does not repeat the URL (it holds a password).
    """
    if not is_usable(url, "amqp"):
        raise ValueError("must look like amqp://user:password@host:5672/vhost")


def is_usable(url: str, scheme: str) -> bool:
    """Whether a URL of a scheme, or of the same with TLS, names a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in {scheme, f"{scheme}s"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def with_heartbeat(url: str) -> str:
    """Add the heartbeat unless the URL names one."""
    query = urlsplit(url).query
    if "heartbeat" in parse_qs(query):
        return url
    return f"{url}{'&' if query else '?'}heartbeat={HEARTBEAT}"


def redacted(url: str) -> str:
    """Where the broker is, without user, password and query: safe in a log line."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "amqp://?"
    host = parts.hostname or "?"
    return f"{parts.scheme or 'amqp'}://{f'[{host}]' if ':' in host else host}{port}{parts.path}"
