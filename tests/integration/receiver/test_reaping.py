"""Process 1 reaps what others left behind, and leaves its own children to those who started them."""

import subprocess
import sys

SCRIPT = """
import os, subprocess, sys
from lapidicom.receiver.supervisor.child import reap_strangers

own = subprocess.Popen(["true"])
stranger = os.spawnlp(os.P_NOWAIT, "true", "true")
for pid in (own.pid, stranger):
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # both have ended, neither is reaped

own_is_first = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT).si_pid == own.pid
reap_strangers(frozenset({own.pid}))
if own_is_first:
    assert own.wait() == 0
    reap_strangers(frozenset())
else:
    assert own.wait() == 0, "the status belongs to who started it"
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("all reaped")
"""


def test_strangers_are_reaped_and_own_children_are_not() -> None:
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stdout, result.stderr) == (0, "all reaped\n", "")
