"""The spool's sentinel, by whose name receiver and operators' command know a mounted volume."""

from typing import Final

SENTINEL: Final = "volume-id"
"""File with the volume's identity, made by the first receiver: without it a folder is no mounted spool."""
