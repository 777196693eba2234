"""How an operator says a rate: `50` or `50/s`. Pure code."""

from typing import Final

from lapidicom.cli.errors import ExitStatus, OperatorError

SLOWEST: Final = 0.1


def parse_rate(text: str) -> float:
    """Read a rate, so many a second.

    Raises:
        OperatorError: it is none, or slower than one in ten seconds.
    """
    try:
        rate = float(text.removesuffix("/s"))
    except ValueError:
        rate = 0.0
    if not SLOWEST <= rate < float("inf"):
        raise OperatorError(
            f"--rate {text!r} is no rate", "give, say, 50 or 50/s; at least 0.1", ExitStatus.UNUSABLE
        )
    return rate
