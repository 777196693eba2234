"""`lapidicom dlq list` and `dlq show`: dead letters, looked at."""

import typer


def register(dlq: typer.Typer) -> None:
    """Add the commands to the group `dlq`."""
