"""When a listener begins a new life, its open series are marked in it before anything is answered there."""

import json
from collections.abc import Iterable
from contextlib import suppress

from lapidicom.common.journal.records import OpenSeries
from lapidicom.common.open_series import marker_name
from lapidicom.receiver.errors import SeriesBeingHealed
from lapidicom.receiver.storage.open_markers import OpenMarkers


def mark_again(markers: OpenMarkers, life: str, series: Iterable[OpenSeries]) -> None:
    """Make a durable marker of each series.

    The former life's go when somebody finishes that one. A series that is being healed since gets none: it
    was taken for ended, and its next instance is refused.

    Args:
        markers: of the listener.
        life: the new one.
        series: all that its associations have begun and not ended.

    Raises:
        OSError: not all of them could be made.
    """
    made = []
    for one in series:
        fields = json.loads(one.fields)
        with suppress(SeriesBeingHealed):
            name = marker_name(life, fields["association_id"])
            made.append(markers.make(fields["pacs_name"], fields["SeriesInstanceUID"], name))
    for marker in made:
        marker.sync()
