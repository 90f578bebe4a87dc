"""Whether uploads that were cut short have left files in the artifact store."""

from __future__ import annotations

import shlex

from contract.paths import ARTIFACTS

from .. import inside
from .check import Verdict, ok, warning
from .subject import NotTried, Subject

# As housekeeping has it: an upload that has written nothing for a day is none that is going on.
_LEFT = f"find {ARTIFACTS} -name '.artifact.uploading.*' -type f -mmin +1440"


def look(subject: Subject) -> Verdict:
    """No upload that was cut short has left a file, which MLflow neither lists nor removes."""
    server = subject.running("mlflow")
    try:
        sizes = [int(each) for each in inside.run(server, *shlex.split(_LEFT), "-printf", "%s\\n").split()]
    except inside.InsideError as error:
        # There may be more files than can be looked through in that time.
        raise NotTried(str(error)) from None
    if not sizes:
        return ok("none was cut short")
    return warning(
        f"{len(sizes)} files of {sum(sizes) / 2**20:,.0f} MiB are left of uploads that were cut short",
        f"docker exec {server.name} {_LEFT} -delete",
    )
