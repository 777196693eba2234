"""Reaping, as process 1 of a container must: orphans of whoever lived in it become children of ours."""

import os


def reap_strangers(own: frozenset[int]) -> None:
    """Reap every ended process that is not in `own`; those are left to whoever started them.

    Args:
        own: process ids of the children that subprocess knows of.
    """
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, options)
        except ChildProcessError:
            return
        # waitid shows one ended child at a time; while one of ours is in front, its owner reaps it
        # first and the next SIGCHLD or tick comes back here.
        if ended is None or ended.si_pid in own:
            return
        os.waitpid(ended.si_pid, 0)
