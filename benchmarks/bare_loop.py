"""The system calls of a durable receiver and nothing else: what the file system at hand can give.

For each file of a folder: write, fsync, rename, then fsync of the folder beside an append to a journal
with fdatasync. One process, folder and journal per association, the same bytes, no network. What is
written is in memory before the clock starts.

    python -m benchmarks.bare_loop --target FOLDER --associations 4 FILES

prints one JSON document, as the sender does.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.sender import Outcome, deal_out, document

RECORD = b"r" * 1100 + b"\n"
"""As long as the record of an instance."""


class Journal:
    """Appends a record and syncs it, in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        self._begin, self._done = threading.Lock(), threading.Lock()
        self._begin.acquire()
        self._done.acquire()
        threading.Thread(target=self._run, daemon=True).start()

    def begin(self) -> None:
        """Let it append."""
        self._begin.release()

    def wait(self) -> None:
        """Return once the record is durable."""
        self._done.acquire()

    def _run(self) -> None:
        while True:
            self._begin.acquire()
            os.write(self._fd, RECORD)
            os.fdatasync(self._fd)
            self._done.release()


def _write(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def _store(target: Path, pipe: Connection, files: Sequence[Path], title: str) -> None:
    outcome = Outcome()
    try:
        contents = [file.read_bytes() for file in files]
        stored, incoming = target / f"stored{title}", target / f"incoming{title}"
        stored.mkdir(exist_ok=True)
        incoming.mkdir(exist_ok=True)
        folder = os.open(stored, os.O_RDONLY | os.O_DIRECTORY)
        journal = Journal(target / f"journal{title}")
        pipe.send("ready")
        pipe.recv()
        before = sum(os.times()[:2])
        outcome.began = time.monotonic()
        for number, content in enumerate(contents):
            began = time.monotonic()
            temporary = f"{incoming}/{number}"
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o664)
            _write(fd, content)
            os.fsync(fd)
            os.close(fd)
            os.rename(temporary, f"{stored}/{number:06}.dcm")  # noqa: PTH104 -- as bare as it can be
            journal.begin()
            os.fsync(folder)
            journal.wait()
            outcome.latencies.append(time.monotonic() - began)
        outcome.ended = time.monotonic()
        outcome.cpu_seconds = sum(os.times()[:2]) - before
        outcome.size = sum(map(len, contents))
    except OSError as error:
        outcome.failure = f"{type(error).__name__}: {error}"
    pipe.send(outcome)


def main() -> int:
    """Store the files of a folder in the order of their names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--associations", type=int, default=1)
    parser.add_argument("--limit", type=int, default=None, help="only the first N files")
    arguments = parser.parse_args()
    files = sorted(arguments.folder.iterdir())[: arguments.limit]
    answer = document(deal_out(partial(_store, arguments.target), files, arguments.associations))
    print(json.dumps(answer))
    return 1 if answer["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
