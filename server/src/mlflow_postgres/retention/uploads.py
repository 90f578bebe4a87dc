"""What an upload leaves in the artifact store when its server is killed."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from .files import Removed

# MLflow writes an artifact under such a name beside its place, and moves it there when it is whole. It refuses
# artifacts of such names and lists none: nobody else sees these files, and nobody else removes them.
PREFIX = ".artifact.uploading."


def remove_unfinished(store: Path, before: float) -> Removed:
    """Remove the files of uploads that have written nothing since a moment, in seconds of Unix time.

    One that is still going on writes with everything that arrives.
    """
    files = size = 0
    # A folder that goes meanwhile, or cannot be read, is left out.
    for folder, _, names in os.walk(store):
        for name in names:
            if not name.startswith(PREFIX):
                continue
            path = Path(folder, name)
            # It may be whole by now, and have another name.
            with contextlib.suppress(FileNotFoundError):
                found = path.lstat()
                if stat.S_ISREG(found.st_mode) and found.st_mtime < before:
                    path.unlink()
                    files, size = files + 1, size + found.st_size
    return Removed(files, size)
