"""Whether MLflow's server runs on the fast event loop and the fast reader of HTTP.

Uvicorn takes them when they can be loaded, and others without a word when not: every request is then slower.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import inside
from .check import Verdict, ok, warning
from .subject import Subject

LIBRARIES = ("uvloop", "httptools")

_LOADED = 'for name; do if grep -qs "$name" /proc/[0-9]*/maps; then echo "$name"; fi; done'


def look(subject: Subject, libraries: Sequence[str] = LIBRARIES) -> Verdict:
    """The libraries are loaded in a process of MLflow's container."""
    said = inside.run(subject.running("mlflow"), "sh", "-c", _LOADED, "sh", *libraries)
    missing = sorted(set(libraries) - set(said.split()))
    if missing:
        return warning(f"{', '.join(missing)} not in use: requests are slower", subject.anew("mlflow"))
    return ok(f"{', '.join(libraries)} in use")
