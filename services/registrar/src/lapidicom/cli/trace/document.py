"""Tells a trace as one JSON document."""

from typing import Any

from lapidicom.cli.errors import NotVisible
from lapidicom.cli.masking import masked_path
from lapidicom.cli.trace.gathering import Trace
from lapidicom.cli.trace.story import InCube, Kind, Letter, Story, counts


def document(trace: Trace, *, limit: int, show_phi: bool) -> dict[str, Any]:
    """The trace as JSON.

    Args:
        trace: what is known.
        limit: instances to tell at most; 0: all.
        show_phi: whether paths are told.
    """
    shown = trace.stories[: limit or None]
    return {
        "uid": trace.uid,
        "is": trace.subject.value,
        "state": trace.state.value,
        "counts": {state.value: count for state, count in counts(trace.stories).items()},
        "instances": [_story_document(story, show_phi=show_phi) for story in shown],
        "instances_not_shown": len(trace.stories) - len(shown),
        "associations": [
            {
                "association_id": one.association_id,
                "calling_ae_title": one.calling_ae_title,
                "called_ae_title": one.called_ae_title,
                "peer_address": one.peer_address,
                "receiver": one.receiver,
                "ended_at": one.ended_at,
                "ok": one.ok,
                "received": one.received,
                "refused": one.refused,
            }
            for one in trace.associations
        ],
        "series_of_study": trace.series,
        "dead_letters_of_series": [_letter_document(letter) for letter in trace.letters],
        "journals_since": trace.since,
        "journal_segments_with_bad_lines": trace.unreadable,
        "waiting": None
        if trace.waiting is None
        else {"work": trace.waiting.work, "delayed": trace.waiting.delayed},
        "not_visible": {who: why.reason for who, why in trace.not_visible.items()},
    }


def _story_document(story: Story, *, show_phi: bool) -> dict[str, Any]:
    return {
        "SOPInstanceUID": story.sop_uid,
        "SeriesInstanceUID": story.series_uid,
        "pacs_name": story.pacs_name,
        "path": story.path if show_phi or not story.path else masked_path(story.path),
        "state": story.state.value,
        "size": story.size,
        "file_size": None if isinstance(story.file, NotVisible) else story.file,
        "cube": {"url": story.cube.url, "registered_at": story.cube.registered_at}
        if isinstance(story.cube, InCube)
        else None,
        "dead_letters": [_letter_document(letter) for letter in story.letters],
        "events": [
            {
                "event": event.kind.value,
                "when": event.when,
                "calling_ae_title": event.calling_ae_title,
                "called_ae_title": event.called_ae_title,
                "peer_address": event.peer_address,
                "receiver": event.receiver,
                "association_id": event.association_id,
                "relay": event.relay.value if event.kind is Kind.RECEIVED else None,
                "status": event.status or None,
                "reason": event.reason or None,
                "tags": list(event.tags),
            }
            for event in story.events
        ],
        "events_omitted": story.omitted,
    }


def _letter_document(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "reason": letter.reason,
        "http_status": letter.http_status,
        "attempts": letter.attempts,
        "died_at": letter.died_at,
        "meaning": letter.meaning,
        "remedy": letter.remedy,
    }
