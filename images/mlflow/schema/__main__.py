"""`migrate`, `restore NAME` and `dumps`: the commands of the schema job; `wanted`, for whoever looks at a stack.

Exit codes: 0 done; 1 tried without success, the last line says what is left; 64 refused, nothing was touched.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib.metadata import version

from . import dump, keys, restore, revisions, sign_in, tuning, upgrade, wanted
from .database import alone, connect, has_sessions, record_version, recorded_version, value
from .grants import grant
from .job import Failed, Job, Refused, job_of
from .programs import without_rows
from .revisions import Due


def migrate(job: Job) -> None:
    """Everything between a database in whatever state and a server that may start on it."""
    with alone(job.database_uri), connect(job.database_uri) as connection:
        dump.clean()
        remembered = recorded_version(connection)
        wanted = revisions.parts(
            connection,
            sign_in=job.administrator is not None,
            mlflow_version=job.mlflow_version,
            remembered=remembered,
        )
        # Whatever may be refused is refused before anything is changed.
        todo = keys.planned(connection, job.key_version)
        if job.administrator:
            sign_in.password_of(job.administrator)
        upgrade.change(connection, job, wanted, remembered)
        try:
            grant(connection, job)
            tuning.tune(connection)
            renewed = bool(job.administrator and sign_in.ensure(job.administrator, job.store_uri))
            keys.carry_out(connection, todo)
            record_version(connection, job.mlflow_version)
        except Exception as error:
            raise Failed(
                f"the schema is that of MLflow {job.mlflow_version}, but not all that comes after it was done: "
                f"{type(error).__name__}: {' '.join(without_rows(str(error)).split())}. Mend it with: make up, "
                "or make rollback"
            ) from error
        if renewed:
            sign_in.wait_until_forgotten(has_sessions(connection, job.server_role), job.remembered)
        changed = [part.name for part in wanted if part.due is not Due.NOTHING]
        done = f"{' and '.join(changed)} tables changed" if changed else "nothing to change"
        print(f"MLflow {job.mlflow_version}: schema {wanted[0].head}, {done}", flush=True)


def put_back(job: Job, name: str) -> None:
    """Replace what is there by a dump, after a dump of what is there; nothing else may work on the database."""
    with alone(job.database_uri), connect(job.database_uri) as connection:
        server_version = connection.info.server_version
        dump.verified(name, server_version)
        chosen = next(sidecar for sidecar in dump.listed() if sidecar["name"] == name)
        revision = None
        if value(connection, "SELECT to_regclass('public.alembic_version')"):
            revision = value(connection, "SELECT version_num FROM public.alembic_version")
        kept = dump.make(
            uri=job.database_uri,
            server_version=server_version,
            database=connection.info.dbname,
            database_bytes=value(connection, "SELECT pg_database_size(current_database())"),
            reason="rollback",
            revisions=(revision, chosen["from_revision"]),
            versions=(recorded_version(connection), chosen["from_version"]),
        )
        print(f"dumped the database as {kept.name} ({kept.size} bytes)", flush=True)
        restore.put_back(connection, job, name)
        print(f"put back {name}: schema {chosen['from_revision']}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="schema", description="Bring MLflow's database to this image's schema.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="make or migrate the tables, after a dump")
    commands.add_parser("restore", help="put a dump back").add_argument("name", help="as `dumps` says")
    dumps = commands.add_parser("dumps", help="the dumps there are, newest first, as JSON")
    dumps.add_argument("--lost", action="store_true", help="those too whose file is gone")
    commands.add_parser("wanted", help="what this image wants of its database, as JSON; the database is not asked")
    arguments = parser.parse_args()
    # A dump holds password hashes, whoever comes to mount its volume.
    os.umask(0o077)
    try:
        if arguments.command == "dumps":
            print(json.dumps(dump.listed(lost=arguments.lost), indent=2))
        elif arguments.command == "wanted":
            print(json.dumps(wanted.wanted(sign_in="MLFLOW_AUTH_CONFIG_PATH" in os.environ)))
        elif arguments.command == "migrate":
            migrate(job_of(os.environ, version("mlflow")))
        else:
            put_back(job_of(os.environ, version("mlflow")), arguments.name)
    except Refused as error:
        print(f"{arguments.command}: {error}", file=sys.stderr)
        return 64
    except Failed as error:
        print(f"{arguments.command}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
