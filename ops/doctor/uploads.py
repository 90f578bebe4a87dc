"""Whether interrupted uploads have left files in the artifact store."""

from __future__ import annotations

import shlex

from contract import roles
from contract.paths import ARTIFACTS

from ..execution import ExecutionError
from .check import Verdict, ok, warning
from .subject import NotTried, Subject

# The same age as gc's: an upload that has written nothing for a day is not running any more.
_LEFT = f"find {ARTIFACTS} -name '.artifact.uploading.*' -type f -mmin +1440"


def check(subject: Subject) -> Verdict:
    """No interrupted upload has left a file, which MLflow would neither list nor remove."""
    try:
        sizes = [int(each) for each in subject.execute(roles.MLFLOW, *shlex.split(_LEFT), "-printf", "%s\\n").split()]
    except ExecutionError as error:
        # Mostly a timeout: there are very many files.
        raise NotTried(str(error)) from None
    if not sizes:
        return ok("none was cut short")
    return warning(
        f"{len(sizes)} files of {sum(sizes) / 2**20:,.0f} MiB are left of uploads that were cut short",
        f"docker exec {subject.running(roles.MLFLOW).name} {_LEFT} -delete",
    )
