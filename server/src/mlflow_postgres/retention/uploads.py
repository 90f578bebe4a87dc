"""The temporary files that an upload leaves in the artifact store when its server is killed."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from .files import Removed

# MLflow writes an upload into a file with this prefix in the target's folder, and renames it when it is complete. It
# rejects artifacts with such names and does not list them, so nobody else sees or removes these files.
PREFIX = ".artifact.uploading."


def remove_unfinished(store: Path, before: float) -> Removed:
    """Remove the files of uploads that have written nothing since `before`, in seconds of Unix time.

    A running upload writes whenever data arrives.
    """
    files = size = 0
    # os.walk skips a folder that cannot be read or that disappears meanwhile.
    for folder, _, names in os.walk(store):
        for name in names:
            if not name.startswith(PREFIX):
                continue
            path = Path(folder, name)
            # The upload may have completed and renamed its file.
            with contextlib.suppress(FileNotFoundError):
                found = path.lstat()
                if stat.S_ISREG(found.st_mode) and found.st_mtime < before:
                    path.unlink()
                    files, size = files + 1, size + found.st_size
    return Removed(files, size)
