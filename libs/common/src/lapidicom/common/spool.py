"""Names within the spool on which the receiver and the operators' command agree."""

from typing import Final

SENTINEL: Final = "volume-id"
"""File with the volume's identity, made by the first receiver: without it a folder is no mounted spool."""

JOURNALS: Final = "journal"
"""Folder of the journals, one folder for each life of a listener."""
