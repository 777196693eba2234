"""Publishes what is lost: confirmed, within the audit, and not what CUBE took meanwhile."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from lapidicom.cli.cube import Catalogue
from lapidicom.cli.output import Advance
from lapidicom.cli.reconcile.findings import Findings
from lapidicom.cli.reconcile.message import Registration
from lapidicom.common.broker import Publisher

IN_FLIGHT: Final = 100


@dataclass(frozen=True)
class Enqueueing:
    """Puts registrations into the work queue.

    Attributes:
        publishing: makes a publisher.
        audited: does something within the audit, given how many are lost.
        run: id of this run; goes into a header of each message.
    """

    publishing: Callable[[], AbstractAsyncContextManager[Publisher]]
    audited: Callable[[int], AbstractAsyncContextManager[dict[str, Any]]]
    run: str

    async def enqueue(
        self, lost: Sequence[Registration], cube: Catalogue, findings: Findings, advance: Advance
    ) -> None:
        """Enqueue messages of files that are lost.

        Args:
            lost: the messages, those of one series folder together.
            cube: asked once more for each folder: since the first look minutes may have passed.
            findings: where it is counted.
            advance: called with how many more are done.

        Raises:
            BrokerError: not all were confirmed; what was is counted, and another run finds the rest.
            OperatorError: CUBE went away.
        """
        async with (
            self.publishing() as publisher,
            self.audited(len(lost)) as after,
        ):
            count = findings.enqueued
            try:
                for folder, made in groupby(lost, lambda one: one.message.path.rpartition("/")[0]):
                    await self._enqueue_folder(folder, list(made), publisher, cube, findings, advance)
            finally:
                after.update(run=self.run, enqueued=findings.enqueued - count)

    async def _enqueue_folder(
        self,
        folder: str,
        lost: Sequence[Registration],
        publisher: Publisher,
        cube: Catalogue,
        findings: Findings,
        advance: Advance,
    ) -> None:
        taken = (await cube.list(fname=f"{folder}/")).files
        left = [one for one in lost if one.message.path not in taken]
        findings.taken_meanwhile += len(lost) - len(left)
        advance(len(lost) - len(left))
        for batch in _batches(left):
            results = await asyncio.gather(
                *(publisher.publish(one.envelope(self.run)) for one in batch), return_exceptions=True
            )
            failures = [result for result in results if isinstance(result, BaseException)]
            findings.enqueued += len(batch) - len(failures)
            advance(len(batch))
            if failures:
                raise failures[0]


def _batches(messages: Sequence[Registration]) -> Iterable[Sequence[Registration]]:
    return (messages[start : start + IN_FLIGHT] for start in range(0, len(messages), IN_FLIGHT))
