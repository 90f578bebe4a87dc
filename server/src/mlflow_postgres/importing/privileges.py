"""The two users of the process: root, who reads the mounted files, and the server's user, who does everything else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

NOBODY = 65534
"""The id of the server's user, who owns the artifacts."""


def become_nobody() -> None:
    """Become the server's user. Only `reading` becomes root again."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        # Only the saved user id stays root's. A child process loses it at exec.
        os.setresuid(NOBODY, NOBODY, 0)


@contextmanager
def reading() -> Iterator[None]:
    """Become root to read the files of any user, in this process and its children. Root has no other capability."""
    before = os.getresuid()
    root = before[2] == 0
    if root:
        # All three ids: with no_new_privs, a child process would get the real user id.
        os.setresuid(0, 0, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(*before)
