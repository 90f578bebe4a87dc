"""Checks that MLflow's server uses the fast event loop and the fast HTTP parser.

Uvicorn silently uses slower ones when these cannot be loaded.
"""

from __future__ import annotations

from collections.abc import Sequence

from contract import roles

from .check import Verdict, ok, warning
from .subject import Subject

LIBRARIES = ("uvloop", "httptools")

_LOADED = 'for name; do if grep -qs "$name" /proc/[0-9]*/maps; then echo "$name"; fi; done'


def check(subject: Subject, libraries: Sequence[str] = LIBRARIES) -> Verdict:
    """The libraries are loaded in a process of MLflow's container."""
    loaded = subject.execute(roles.MLFLOW, "sh", "-c", _LOADED, "sh", *libraries).split()
    missing = sorted(set(libraries) - set(loaded))
    if missing:
        return warning(f"{', '.join(missing)} not in use: requests are slower", subject.recreate(roles.MLFLOW))
    return ok(f"{', '.join(libraries)} in use")
