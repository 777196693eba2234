"""For how long something has stood still, by the observer's own clock. Pure."""


class StandStill:
    """Watches a value that moves while its writer lives: a heartbeat, a claim.

    Args:
        now: monotonic seconds, at the first look.
        value: what was seen then.
    """

    def __init__(self, now: float, value: bytes) -> None:
        self.value = value
        self._since = now

    def look(self, now: float, value: bytes) -> bool:
        """Take another look.

        Returns:
            Whether the value has moved since the last one.
        """
        if value == self.value:
            return False
        self.value = value
        self._since = now
        return True

    def seconds(self, now: float) -> float:
        """For how long it has been seen standing still."""
        return now - self._since
