"""`import-runs`: bring the runs of the store at /source into the database.

Exit codes: 0 done; 1 tried without success; 64 refused. The last line of standard error says why; nothing was
changed then, but for artifacts that nothing refers to, unless that line or the word "committed" says otherwise.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
from importlib.metadata import version
from pathlib import Path

import psycopg

from ..job import Failed, Refused, job_of
from ..programs import without_rows
from .plans import Clash
from .reader import become_nobody
from .work import Order, bring

SOURCE = Path("/source")


def order_of(arguments: argparse.Namespace) -> Order:
    """What is asked for."""
    return Order(
        store=SOURCE / arguments.file,
        shown=arguments.shown,
        clash=Clash(arguments.clash),
        dry_run=arguments.dry_run,
        users=arguments.users,
        rows_only=arguments.rows_only,
        users_rows_only=arguments.users_rows_only,
        empty=frozenset(arguments.empty),
        places={location: Path(folder) for location, folder in arguments.place},
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="import-runs", description="Bring the runs of another store along.")
    parser.add_argument("--file", default="", help="the store's name in /source; that itself unless given")
    parser.add_argument("--shown", default=str(SOURCE), help="what the user calls the store")
    parser.add_argument("--clash", choices=[each.value for each in Clash], default=Clash.REFUSE.value)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--users", type=Path, help="the sign-in database whose users are to come along")
    parser.add_argument("--users-rows-only", action="store_true", help="the same of that one as --rows-only")
    parser.add_argument("--rows-only", action="store_true", help="the store's tables hold rows, and are not MLflow's")
    parser.add_argument("--empty", action="append", default=[], help="an artifact location in which there is nothing")
    parser.add_argument(
        "--place",
        nargs=2,
        action="append",
        default=[],
        metavar=("LOCATION", "FOLDER"),
        help="an artifact location of the store, and the folder that its files are to be copied from",
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
    except (psycopg.Error, sqlite3.Error, OSError) as error:
        # The first line alone: what follows may show rows.
        reason = without_rows(str(error)).partition("\n")[0]
        print(f"import: {type(error).__name__}: {reason}; nothing was changed", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
