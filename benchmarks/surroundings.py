"""What every benchmark tells of the machine, and how it lets itself be interrupted."""

import os
import platform
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

RESULTS: Final = Path(".bench/results.json")


def quick() -> bool:
    """Whether QUICK=1 asks for an end within 50 seconds."""
    return os.environ.get("QUICK", "") not in ("", "0")


def run(bench: Callable[[], int]) -> int:
    """Run a benchmark; SIGINT and SIGTERM end it in order, with all that it started.

    Returns:
        The exit status: that of the benchmark, 130 after an interruption.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    print(f"{platform.platform()}, CPython {platform.python_version()}, {os.cpu_count()} CPUs")
    _say_load("before")
    try:
        return bench()
    except KeyboardInterrupt:
        print("\ninterrupted: everything that was started is stopped", file=sys.stderr)
        return 130
    finally:
        _say_load("after")


def _say_load(when: str) -> None:
    """Others on the machine make rates low and ratios rough: whoever reads the table must know."""
    load = os.getloadavg()[0]
    busy = " (busy with something else: ratios are rough)" if load > 1 and when == "before" else ""
    print(f"load {when}: {load:.1f}{busy}", flush=True)


def _interrupt(*_: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a second one must not cut short the cleaning up
    raise KeyboardInterrupt
