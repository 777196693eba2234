"""Shares the places of CHRIS_LISTENER_THREADS out over the listener processes."""


def shares(places: int, processes: int) -> tuple[int, ...]:
    """Places of each process: as even as can be, together exactly `places`."""
    each, rest = divmod(places, processes)
    return tuple(each + (index < rest) for index in range(processes))
