"""The settings of every service that is installed here, by name: no service imports another one for it.

Each distribution names its model under the entry-point group `lapidicom.settings`.
"""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Final

from lapidicom.common.settings.sections import Section

GROUP: Final = "lapidicom.settings"


def installed() -> Mapping[str, type[Section]]:
    """The settings models, such as `receiver` and `registrar`, in alphabetical order.

    Raises:
        TypeError: an entry point names something else.
    """
    found: dict[str, type[Section]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        model = point.load()
        if not (isinstance(model, type) and issubclass(model, Section)):
            raise TypeError(f"{point.value} is no settings model")
        found[point.name] = model
    return found
