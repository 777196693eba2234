"""What is wrong with an instance, said without any value of its data set.

InstanceError
+-- HeaderError     the data set cannot be understood, or lacks what is required
+-- PathError       no safe path can be made
"""


class InstanceError(Exception):
    """An instance cannot be filed; its text never contains a value of the data set."""


class HeaderError(InstanceError):
    """The header of a data set cannot be understood.

    Args:
        fault: what is wrong, as one short sentence that names the tag but no value.
        tag: the offending element as 0xGGGGEEEE; None when no single one is at fault.
    """

    def __init__(self, fault: str, tag: int | None = None) -> None:
        super().__init__(fault)
        self.fault = fault
        self.tag = tag

    def __reduce__(self) -> tuple[type["HeaderError"], tuple[str, int | None]]:
        """Survive pickling and copying with the tag."""
        return HeaderError, (self.fault, self.tag)


class PathError(InstanceError):
    """Values from which no safe path can be made."""
