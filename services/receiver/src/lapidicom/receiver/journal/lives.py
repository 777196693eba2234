"""The lives of an owner: the present one, and the next when a journal was deleted under it."""

import errno
from collections.abc import Callable

from lapidicom.receiver.journal.life import Life
from lapidicom.receiver.journal.mark import Mark
from lapidicom.receiver.journal.observer import Observer


class Lives:
    """One life after another; the first is made at once.

    Args:
        make_life: makes a new life.
        mark: is moved in the present one, and closes it.
        observe: told of each life after the first.
        on_life: told the folder name of each life after the first.

    Attributes:
        present: None while none could be made, and after the end.
        last: the present one, or the one before.

    Raises:
        OSError: there is no first life.
    """

    def __init__(
        self, make_life: Callable[[], Life], mark: Mark, *, observe: Observer, on_life: Callable[[str], None]
    ) -> None:
        self._make_life = make_life
        self._mark = mark
        self._observe = observe
        self._on_life = on_life
        self._is_over = False
        self.last = make_life()
        self.present: Life | None = self.last
        mark.begin(self.last)

    def current(self) -> Life:
        """The present life, a new one if the last was left.

        Raises:
            OSError: no life can be made; ESHUTDOWN after the end.
        """
        if self._is_over:
            raise OSError(errno.ESHUTDOWN, "closed")
        if self.present is None:
            life = self._make_life()
            self.present = self.last = life
            self._mark.begin(life)
            self._observe("journal_life_began", life=life.name)
            self._on_life(life.name)
            return life
        return self.present

    def leave(self) -> None:
        """Close the present life, whose journal was deleted; `current` begins the next."""
        self.present = None
        self._mark.leave()

    def end(self) -> None:
        """Close the present life; there will be no other."""
        self.leave()
        self._is_over = True
