"""Artifacts of a run: list, for those that this server keeps in a folder of its own."""

from __future__ import annotations

from typing import Final, LiteralString

import anyio.to_thread
import msgspec
from mlflow.server import handlers
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.utils.uri import validate_path_is_safe

from . import answers, run_columns
from .arguments import OfRun
from .database import Database
from .errors import NotServed

_ROOT: Final[LiteralString] = (
    "SELECT artifact_uri FROM runs AS run WHERE run_uuid = %(run_id)s::varchar AND " + run_columns.IS_WHOLE
)


class List(OfRun):
    path: str | None = None


async def list_artifacts(database: Database, arguments: List) -> bytes:
    rows = await database.read(_ROOT, {"run_id": arguments.run_id})
    if len(rows) != 1:
        raise NotServed
    root = rows[0][0].decode()
    # In a thread: a folder may have any number of files, and may be in a network.
    return await anyio.to_thread.run_sync(_listed, root, arguments.path)


def _listed(root: str, path: str | None) -> bytes:
    """The answer. MLflow's own functions decide which folder it is, and read it. Raises `NotServed`."""
    try:
        safe = None if path is None else validate_path_is_safe(path)
        if not (
            handlers._is_servable_proxied_run_artifact_root(root)
            and isinstance(handlers._get_artifact_repo_mlflow_artifacts(), LocalArtifactRepository)
        ):
            raise NotServed
        found = handlers._list_artifacts_for_proxied_run_artifact_root(root, safe)
        files = [
            {"path": each.path, "is_dir": each.is_dir} | ({"file_size": each.file_size} if each.file_size else {})
            for each in found
        ]
        answer = {"files": files, "root_uri": root} if files else {"root_uri": root}
        return answers.ascii_json(msgspec.json.encode(answer))
    except Exception:
        # MLflow refuses the path, or fails on what is there.
        raise NotServed from None
