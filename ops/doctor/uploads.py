"""Checks for files of interrupted uploads in the artifact store."""

from __future__ import annotations

import shlex

from contract import roles
from contract.paths import ARTIFACTS

from ..execution import ExecutionError
from .check import Verdict, ok, warning
from .subject import NotTried, Subject

# A day, as in gc: an upload that has written nothing for a day has been interrupted.
_LEFT = f"find {ARTIFACTS} -name '.artifact.uploading.*' -type f -mmin +1440"


def check(subject: Subject) -> Verdict:
    """There are no files of interrupted uploads, which MLflow neither lists nor removes."""
    try:
        sizes = [int(each) for each in subject.execute(roles.MLFLOW, *shlex.split(_LEFT), "-printf", "%s\\n").split()]
    except ExecutionError as error:
        # Usually a timeout: there are very many files.
        raise NotTried(str(error)) from None
    if not sizes:
        return ok("none was interrupted")
    return warning(
        f"{len(sizes)} files of interrupted uploads use {sum(sizes) / 2**20:,.0f} MiB",
        f"docker exec {subject.running(roles.MLFLOW).name} {_LEFT} -delete",
    )
