"""Runs the demo; the exit status is 0 if all that was accepted is stored and registered exactly once."""

import os
import shlex
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from demo.files import Collection, InstanceFile, collect
from demo.options import OptionError, Options, read_options
from demo.senders import (
    Target,
    Unsent,
    dcmsend_arguments,
    dcmsend_program,
    send_by_dcmsend,
    send_by_pynetdicom,
)
from demo.service import ServiceError
from demo.stack import Stack
from demo.verification import Verdict, digest_of, read_stored, stored_paths, verify
from demo.wire_tap import Exchange, WireTap
from tests.support.rabbitmq import BrokerError

STALLED_SECONDS = 60.0
NAMES_SHOWN = 3
PROBLEMS_SHOWN = 20


class Demo:
    """One run, told at the terminal."""

    def __init__(self, options: Options, console: Console) -> None:
        self._options = options
        self._console = console

    def run(self) -> int:
        """Send, wait, prove; returns the exit status."""
        say = self._console.print
        found = collect(self._options.data)
        say(f"{len(found.instances)} DICOM instances in {self._options.data}", highlight=False)
        self._tell_skipped(found)
        if not found.instances:
            say("nothing to send")
            return 1
        say("starting RabbitMQ, receiver, registrar and a stand-in for CUBE ...")
        with Stack(self._options) as stack:
            before = frozenset(stored_paths(stack.files_root))
            with WireTap(stack.scp_port) as tap, self._progress() as progress:
                unsent = self._send(found.instances, tap, progress)
                self._await_registrations(stack, tap, before, progress)
                exchanges, unanswered = self._of(found.instances, tap.exchanges), tap.unanswered
            verdict = self._prove(stack, exchanges, before)
            self._tell_bytes(found.instances, exchanges)
            verdict.refused += sum(item.refused for item in unsent)
            verdict.sent += sum(item.refused for item in unsent)
            dead = stack.dead_letters()
            verdict.problems += [f"{item.file.path}: {item.reason}" for item in unsent if not item.refused]
            if unanswered:
                verdict.problems.append(f"{unanswered} instances got no answer")
            self._tell_refusals(found.instances, exchanges, unsent)
            self._tell_files(verdict, stack)
            self._tell_series(stack)
            status = self._tell_problems(verdict, dead, stack)
            if self._options.keep:
                self._tell_kept(stack)
        say(
            f"demo: {verdict.sent} sent, {verdict.stored} stored, {verdict.registered} registered, "
            f"{verdict.refused} refused, {dead} dead letters",
            highlight=False,
        )
        return status

    def _progress(self) -> Progress:
        return Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        )

    def _send(self, files: Sequence[InstanceFile], tap: WireTap, progress: Progress) -> list[Unsent]:
        target = Target(tap.port, self._options.calling_aet)
        bar = progress.add_task("answered", total=len(files))

        def show() -> None:
            progress.update(bar, completed=min(len(tap.exchanges), len(files)))

        program = dcmsend_program()
        rest = list(files)
        if program is not None:
            send_by_dcmsend(program, files, target, show)
            rest = _without(files, tap.exchanges)
            if rest:
                progress.console.print(
                    f"{len(rest)} of them dcmsend cannot send as they are: pynetdicom offers them",
                    highlight=False,
                )
        unsent = send_by_pynetdicom(rest, target, show)
        show()
        return unsent

    def _of(self, files: Sequence[InstanceFile], exchanges: Sequence[Exchange]) -> list[Exchange]:
        """All but refused requests for a UID that no file has: dcmsend sends such for files it misreads."""
        ours = {file.sop_instance_uid for file in files} | {file.media_uid for file in files}
        kept = [exchange for exchange in exchanges if exchange.accepted or exchange.sop_instance_uid in ours]
        if len(kept) < len(exchanges):
            self._console.print(
                f"{len(exchanges) - len(kept)} of those dcmsend garbled first; these requests were refused",
                highlight=False,
            )
        return kept

    def _await_registrations(
        self, stack: Stack, tap: WireTap, before: frozenset[str], progress: Progress
    ) -> None:
        """Wait until every path that must be registered is, or until nothing has moved for a minute."""
        accepted = {exchange.sop_instance_uid for exchange in tap.exchanges if exchange.accepted}
        wanted = {
            path
            for path in stored_paths(stack.files_root)
            if path not in before or path.rsplit("-", 1)[-1].removesuffix(".dcm") in accepted
        }
        bar = progress.add_task("registered", total=len(wanted))
        seen, deadline = -1, 0.0
        while True:
            registered = len(wanted & stack.registrations().keys())
            progress.update(bar, completed=registered)
            if registered == len(wanted):
                return
            if registered != seen:
                seen, deadline = registered, time.monotonic() + STALLED_SECONDS
            if time.monotonic() > deadline or registered + stack.dead_letters() >= len(wanted):
                return
            time.sleep(0.2)

    def _prove(self, stack: Stack, exchanges: Sequence[Exchange], before: frozenset[str]) -> Verdict:
        files = read_stored(stack.files_root, stored_paths(stack.files_root))
        return verify(exchanges, files, stack.registrations(), before)

    def _tell_skipped(self, found: Collection) -> None:
        for count, what in (
            (len(found.not_dicom), "are no DICOM files"),
            (len(found.no_instance), "are DICOM files without an instance (directories, no UIDs)"),
        ):
            if count:
                self._console.print(f"skipped: {count} {what}", highlight=False)

    def _tell_bytes(self, files: Sequence[InstanceFile], exchanges: Sequence[Exchange]) -> None:
        """Say how many data sets equal those of the files: an SCU may re-encode what it reads."""
        digests = {digest_of(file.path) for file in files}
        accepted = [exchange for exchange in exchanges if exchange.accepted]
        same = sum(exchange.digest in digests for exchange in accepted)
        self._console.print(
            f"{len(accepted)} data sets are compared with the bytes that were sent; {same} of these are also "
            f"those of the file, {len(accepted) - same} were re-encoded by the SCU",
            highlight=False,
        )

    def _tell_refusals(
        self, files: Sequence[InstanceFile], exchanges: Sequence[Exchange], unsent: Sequence[Unsent]
    ) -> None:
        by_digest = {digest_of(file.path): file.path.name for file in files}
        by_uid: dict[str, list[str]] = defaultdict(list)
        for file in files:
            for uid in {file.sop_instance_uid, file.media_uid}:
                by_uid[uid].append(file.path.name)
        reasons: dict[str, list[str]] = defaultdict(list)
        for exchange in exchanges:
            if not exchange.accepted:
                name = by_digest.get(exchange.digest) or " or ".join(by_uid[exchange.sop_instance_uid])
                reasons[f"0x{exchange.status:04X} {exchange.comment}"].append(name)
        for item in unsent:
            if item.refused:
                reasons[item.reason].append(item.file.path.name)
        for reason, refused in sorted(reasons.items()):
            shown = ", ".join(refused[:NAMES_SHOWN]) + (", ..." if len(refused) > NAMES_SHOWN else "")
            self._console.print(f"refused: {len(refused)} with {reason} ({shown})", highlight=False)

    def _tell_files(self, verdict: Verdict, stack: Stack) -> None:
        if verdict.replaced:
            self._console.print(
                f"of those stored, {verdict.replaced} were replaced by a later one of their SOP Instance UID",
                highlight=False,
            )
        if self._options.files_root:
            self._console.print(f"storage root: {stack.files_root}", highlight=False)

    def _tell_series(self, stack: Stack) -> None:
        for folder, ndicom in stack.series().items():
            self._console.print(f"series of {ndicom}: {folder}", highlight=False, markup=False)

    def _tell_problems(self, verdict: Verdict, dead: int, stack: Stack) -> int:
        if verdict.stored != verdict.sent - verdict.refused or verdict.registered != verdict.stored:
            verdict.problems.append("the numbers do not add up")
        if dead:
            verdict.problems.append(f"{dead} dead letters")
        for problem in verdict.problems[:PROBLEMS_SHOWN]:
            self._console.print(f"PROBLEM: {problem}", highlight=False, markup=False)
        if verdict.problems:
            self._console.print(stack.log_ends(), highlight=False, markup=False)
        return 1 if verdict.problems else 0

    def _tell_kept(self, stack: Stack) -> None:
        script = stack.leave()
        target = Target(stack.scp_port, self._options.calling_aet)
        self._console.print(
            "\nstill running, as you asked:\n"
            f"  send     dcmsend {' '.join(dcmsend_arguments(target))} FILE ...\n"
            f"  look     {stack.files_root}\n"
            f"           http://127.0.0.1:{stack.cube.port}/_control/counts (registrations by path)\n"
            f"           {' '.join(stack.log_files())}\n"
            f"  operate  . {shlex.quote(str(stack.write_operator_settings()))}; .venv/bin/lapidicom status\n"
            f"  stop     {script}\n",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _without(files: Sequence[InstanceFile], exchanges: Sequence[Exchange]) -> list[InstanceFile]:
    """The files whose instance did not go over the wire."""
    seen = Counter(exchange.sop_instance_uid for exchange in exchanges)
    rest = []
    for file in files:
        if seen[file.sop_instance_uid]:
            seen[file.sop_instance_uid] -= 1
        else:
            rest.append(file)
    return rest


def _terminated(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def main() -> int:
    """Run the demo with the options of the environment."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminated)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins with it ignored
    console = Console(soft_wrap=True)
    try:
        return Demo(read_options(os.environ), console).run()
    except (OptionError, ServiceError, BrokerError) as error:
        console.print(f"demo: {error}", highlight=False, markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("demo: interrupted; everything is stopped", highlight=False)
        return 130


if __name__ == "__main__":
    sys.exit(main())
