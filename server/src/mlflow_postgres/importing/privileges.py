"""Two users in one process: the one who may read whatever is mounted, and the server's, who does everything else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

NOBODY = 65534
"""The server's user, to whom the artifacts belong."""


def become_nobody() -> None:
    """From now on this process, and whatever it starts, is the server's user; only `reading` goes back on that."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        # The saved id alone is root's: a program that is started has lost it.
        os.setresuid(NOBODY, NOBODY, 0)


@contextmanager
def reading() -> Iterator[None]:
    """Read files of whoever they are, and let a program that is started do so. The container gives root no more."""
    before = os.getresuid()
    root = before[2] == 0
    if root:
        # Not the effective id alone: without new privileges, a program that is started falls back to the real one.
        os.setresuid(0, 0, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(*before)
