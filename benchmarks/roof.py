"""Compiles the roof (sink.c), where there is a C compiler."""

import shutil
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("sink.c")


def compiled(folder: Path) -> Path | None:
    """Compile the sink into a folder; None where no compiler is installed.

    Raises:
        subprocess.CalledProcessError: the compiler refused the source.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    target = folder / "sink"
    subprocess.run([compiler, "-O2", "-o", target, _SOURCE, "-pthread"], check=True)
    return target
