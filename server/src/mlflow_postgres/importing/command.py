"""`import-runs`: bring the runs of the store at /source into the database.

Exit codes: 0 done; 1 tried without success; 64 refused. The last line of standard error says why; nothing was
changed then, but for artifacts that nothing refers to, unless that line or the word "committed" says otherwise.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sqlite3
import sys
import traceback
from importlib.metadata import version
from pathlib import Path

import psycopg

from ..migration.job import Failed, Refused, job_of
from ..migration.programs import without_rows
from .importer import bring
from .options import Order
from .plans import Clash
from .privileges import become_nobody, reading

SOURCE = Path("/source")


def order_of(arguments: argparse.Namespace) -> Order:
    """What is asked for."""
    with reading():
        located = json.loads(arguments.locations.read_text())
    return Order(
        store=SOURCE / arguments.file,
        shown=arguments.shown,
        clash=Clash(arguments.clash),
        dry_run=arguments.dry_run,
        users=arguments.users,
        is_folder=not arguments.file,
        rows_only=arguments.rows_only,
        users_rows_only=arguments.users_rows_only,
        leave_artifacts=arguments.leave_artifacts,
        empty=frozenset(located["empty"]),
        places={location: Path(folder) for location, folder in located["places"].items()},
    )


def _mend(error: Exception) -> str:
    match error:
        case sqlite3.OperationalError() if "full" in str(error):
            return "by making room where the engine keeps its volumes, then run it again"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return "by making room where the engine keeps its volumes, then run it again"
        case sqlite3.Error():
            return (
                "with: sqlite3 OLD .recover | sqlite3 recovered.db, then: make import SOURCE=recovered.db. The store "
                "is damaged, or its tables are not as MLflow makes them"
            )
        case psycopg.Error():
            return "by running it again; make doctor says whether the database is well"
    return "by running it again, and tell us if it happens again"


def main() -> int:
    parser = argparse.ArgumentParser(prog="import-runs", description="Bring the runs of another store along.")
    parser.add_argument("--file", default="", help="the store's name in /source; that itself unless given")
    parser.add_argument("--shown", default=str(SOURCE), help="what the user calls the store")
    parser.add_argument("--clash", choices=[each.value for each in Clash], default=Clash.REFUSE.value)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--users", type=Path, help="the sign-in database whose users are to come along")
    parser.add_argument("--users-rows-only", action="store_true", help="the same of that one as --rows-only")
    parser.add_argument("--rows-only", action="store_true", help="the store's tables hold rows, and are not MLflow's")
    parser.add_argument("--leave-artifacts", action="store_true", help="come without what an old server has of them")
    parser.add_argument(
        "--locations",
        type=Path,
        required=True,
        help="a JSON file: `places`, artifact locations with the folders that their files are to be copied from, and "
        "`empty`, those in which there is nothing",
    )
    arguments = parser.parse_args()
    os.umask(0o077)
    become_nobody()
    try:
        bring(order_of(arguments), job_of(os.environ, version("mlflow")))
    except (Refused, Failed) as error:
        print(f"import: {error}", file=sys.stderr)
        return 64 if isinstance(error, Refused) else 1
    except psycopg.errors.UniqueViolation as error:
        print(
            f"import: {error.diag.table_name} has a row of the same key already ({error.diag.constraint_name}); "
            'nothing was changed. Mend it with IMPORT="--clash skip", which leaves such rows behind',
            file=sys.stderr,
        )
        return 64
    except Exception as error:
        # The first line alone: what follows may show rows.
        reason = without_rows(str(error)).partition("\n")[0]
        if not isinstance(error, psycopg.Error | sqlite3.Error | OSError):
            traceback.print_exc()
        print(f"import: {type(error).__name__}: {reason}; nothing was changed. Mend it {_mend(error)}", file=sys.stderr)
        return 1
    return 0
