"""The SCU that most people try first: dcmtk's storescu with its defaults, Nagle's algorithm on.

Nagle holds back the last segment of a message until the peer acknowledges, and a peer that delays its
acknowledgement by 40 ms takes 22 instances a second, however fast it is.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results import Sample
from benchmarks.run import RunError, Running

_SECONDS = 120


def missing() -> str | None:
    """What must be installed; None: nothing."""
    return None if shutil.which("storescu") else "storescu is missing: apt-get install dcmtk"


def measure(running: Running, files: Path, count: int, size: int) -> Sample:
    """Send `count` files in one association; what a single one takes (process, association) is subtracted.

    Raises:
        RunError: storescu failed.
    """
    chosen = sorted(files.iterdir())[:count]
    alone = _seconds(running, chosen[:1])
    running.clear()
    before = running.tree.cpu_seconds()
    seconds = _seconds(running, chosen) - alone
    cpu = running.tree.cpu_seconds() - before
    stored = running.clear()
    fault = None if stored == count else f"{count} sent, {stored} stored"
    return Sample((count - 1) / max(seconds, 1e-9), cpu / count, size, fault)


def _seconds(running: Running, files: Sequence[Path]) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    command = ["storescu", "-aec", "ChRIS", "-aet", "BENCH", "127.0.0.1", str(running.stand.port)]
    began = time.monotonic()
    try:
        done = subprocess.run(
            [*command, *map(str, files)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise RunError(f"storescu took more than {_SECONDS} s for {len(files)} files") from error
    seconds = time.monotonic() - began
    if done.returncode:
        raise RunError(f"storescu: {done.stdout[-500:]}{done.stderr[-500:]}")
    return seconds
