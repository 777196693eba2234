"""Edits of a replayed message's fields: only what describes, never what identifies. Pure code."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.common.messages import InstanceStored, SeriesReceived
from lapidicom.registrar.consumer.reading import KNOWN
from lapidicom.registrar.cube.contract import TEXT_LIMITS

EDITABLE: Final = (*sorted(TEXT_LIMITS), "PatientAge", "PatientBirthDate", "PatientSex")
"""Never path, pacs_name, PatientID, StudyDate or a UID: these say which file of which patient it is."""


class NotEditable(Exception):
    """A message cannot be edited; the text says why, without a value."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one message before and after; None where it is absent. Patient data."""

    name: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class Edits:
    """New values of fields; None takes a field away."""

    values: tuple[tuple[str, str | None], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Which fields are edited."""
        return tuple(name for name, _ in self.values)

    def apply(self, message_type: str, body: bytes) -> tuple[bytes, tuple[Change, ...]]:
        """Edit a body and validate it by the model of its type; what the model does not know is kept.

        Returns:
            The new body and what really changed in it; the old one where nothing did.

        Raises:
            NotEditable: not a message of ours, or not a valid one with the new values.
        """
        if not self.values:
            return body, ()
        model = _model(message_type)
        try:
            before = model.model_validate_json(body)
        except ValidationError:
            raise NotEditable("the message cannot be read") from None
        fields = json.loads(body) | dict(self.values)
        try:
            after = model.model_validate(fields)
        except ValidationError as error:
            names = ", ".join(sorted({str(one["loc"][0]) for one in error.errors() if one["loc"]}))
            raise NotEditable(f"not a valid value: {names}") from None
        changes = tuple(
            Change(name, getattr(before, name), getattr(after, name))
            for name in self.names
            if getattr(before, name) != getattr(after, name)
        )
        if not changes:
            return body, ()
        fields |= {name: getattr(after, name) for name in self.names}
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode(), changes


def make_edits(given: Iterable[str], unset: Iterable[str]) -> Edits:
    """Read --set Field=value and --unset Field.

    Raises:
        OperatorError: not of that form, not a field that may be edited, or one named twice.
    """
    values: dict[str, str | None] = {}
    for option, text in (*(("--set", text) for text in given), *(("--unset", text) for text in unset)):
        name, equals, value = text.partition("=")
        if (option == "--set") != bool(equals) or not name:
            raise OperatorError(
                f"{option} {name!r} is not of its form",
                "give --set Field=value or --unset Field",
                ExitStatus.UNUSABLE,
            )
        if name not in EDITABLE:
            raise OperatorError(
                f"{name!r} may not be edited", f"editable are {', '.join(EDITABLE)}", ExitStatus.UNUSABLE
            )
        if name in values:
            raise OperatorError(f"{name} is edited twice", "name it once", ExitStatus.UNUSABLE)
        values[name] = value if option == "--set" else None
    return Edits(tuple(values.items()))


def _model(message_type: str) -> type[InstanceStored] | type[SeriesReceived]:
    for model in KNOWN:
        if message_type == model.TYPE:
            return model
    raise NotEditable("no message type of ours")
