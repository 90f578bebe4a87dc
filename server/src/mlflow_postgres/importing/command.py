"""`import-runs`: import the runs of the store at /source into the database.

Exit codes: 0 success; 1 failure; 64 refused. The last event, and the last line of standard error, has the error. After
it nothing was changed, unless it or the event `committed` says otherwise. Copied artifacts may be left: the next import
removes them.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sqlite3
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import psycopg

from ..errors import Failed, Refused, exit_code
from ..migration.job import job_of
from ..migration.programs import without_rows
from .importer import run_import
from .options import CONTAINER, Folders, Options
from .plans import Clash
from .privileges import become_nobody, reading
from .progress import emit


def options_of(arguments: argparse.Namespace, source: Path) -> Options:
    """The options of an import, from its arguments. `source` is the folder of the old store."""
    with reading():
        located = json.loads(arguments.locations.read_text())
    return Options(
        store=source / arguments.file,
        source_name=arguments.shown,
        clash=Clash(arguments.clash),
        dry_run=arguments.dry_run,
        users=arguments.users,
        is_folder=not arguments.file,
        rows_only=arguments.rows_only,
        users_rows_only=arguments.users_rows_only,
        leave_artifacts=arguments.leave_artifacts,
        empty_locations=frozenset(located["empty"]),
        artifact_folders={location: Path(folder) for location, folder in located["places"].items()},
    )


def _error(error: Exception) -> Refused | Failed:
    """The error that a user sees, for any error of an import."""
    # Only the first line: the others may show rows.
    reason = without_rows(str(error)).partition("\n")[0]
    seen = f"{type(error).__name__}: {reason}; nothing was changed"
    match error:
        case Refused() | Failed():
            return error
        case psycopg.errors.UniqueViolation():
            return Refused(
                "row-exists",
                f"{error.diag.table_name} already has a row with the same key ({error.diag.constraint_name})",
                remedy='IMPORT="--clash skip", which skips such rows',
            )
        case sqlite3.OperationalError() | OSError() if _is_full(error):
            return Failed(
                "engine-disk-full", seen, remedy="more space for Docker's volumes, then the same import again"
            )
        case sqlite3.Error():
            return Failed(
                "source-damaged",
                seen,
                rule="the store is damaged, or its tables are not those that MLflow creates",
                remedy="sqlite3 OLD .recover | sqlite3 recovered.db, then: make import SOURCE=recovered.db",
            )
        case psycopg.Error():
            return Failed("import-failed", seen, remedy="the same import again; make doctor checks the database")
    return Failed("import-failed", seen, remedy="the same import again; report it if it happens again")


def _is_full(error: sqlite3.OperationalError | OSError) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "full" in str(error)


def main(given: Sequence[str] | None = None, folders: Folders = CONTAINER) -> int:
    parser = argparse.ArgumentParser(prog="import-runs", description="Import the runs of another MLflow store.")
    parser.add_argument("--file", default="", help="the name of the store's file; empty for a folder store")
    parser.add_argument("--shown", default=str(folders.source), help="the name of the store in the comparison")
    parser.add_argument("--clash", choices=[each.value for each in Clash], default=Clash.REFUSE.value)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--users", type=Path, help="the sign-in database whose users are imported")
    parser.add_argument("--users-rows-only", action="store_true", help="like --rows-only, for the sign-in database")
    parser.add_argument("--rows-only", action="store_true", help="the file has rows only, without MLflow's schema")
    parser.add_argument("--leave-artifacts", action="store_true", help="import without the old server's artifacts")
    parser.add_argument(
        "--locations",
        type=Path,
        required=True,
        help="a JSON file: `places` maps artifact locations to the folders that their files are copied from, and "
        "`empty` lists artifact locations without files",
    )
    arguments = parser.parse_args(given)
    os.umask(0o077)
    become_nobody()
    try:
        run_import(options_of(arguments, folders.source), job_of(os.environ, version("mlflow")), folders)
    except Exception as error:
        if not isinstance(error, Refused | Failed | psycopg.Error | sqlite3.Error | OSError):
            traceback.print_exc()
        shown = _error(error)
        emit(code=shown.code, problem=shown.problem, remedy=shown.remedy)
        print(f"import: {shown.report}", file=sys.stderr)
        return exit_code(shown)
    return 0
