"""The schema job's commands `migrate`, `restore NAME` and `dumps`, and `schema-requirements` for `ops doctor`.

Exit codes: 0 success; 1 failure, the last line says in which state the database is; 64 refused, nothing was changed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib.metadata import version

from contract import dumps, environment, schema

from ..errors import Failed, Refused, exit_code
from . import administrator, dump, keys, requirements, restore, revisions, tuning, upgrade
from .connections import connect, has_sessions, record_version, recorded_version, schema_job_lock, value
from .grants import grant
from .job import Job, job_of
from .programs import without_rows
from .revisions import Due


def migrate(job: Job) -> None:
    """Prepare the database so that this image's server can start on it."""
    with schema_job_lock(job.database_uri), connect(job.database_uri) as connection:
        dump.remove_partial_files()
        recorded = recorded_version(connection)
        sets = revisions.table_sets(
            connection,
            sign_in=job.administrator is not None,
            mlflow_version=job.mlflow_version,
            recorded=recorded,
        )
        # Everything that can be refused is checked before anything is changed.
        key_plan = keys.plan_for(connection, job.key_version)
        if job.administrator:
            administrator.password_of(job.administrator)
        upgrade.upgrade(connection, job, sets, recorded)
        try:
            grant(connection, job)
            tuning.tune(connection)
            renewed = bool(job.administrator and administrator.ensure(job.administrator, job.store_uri))
            keys.apply(connection, key_plan)
            record_version(connection, job.mlflow_version)
        except Exception as error:
            raise Failed(
                "schema-step-failed",
                f"the schema is that of MLflow {job.mlflow_version}, but a later step failed: "
                f"{type(error).__name__}: {' '.join(without_rows(str(error)).split())}",
                remedy="make up, or make rollback",
            ) from error
        if renewed:
            administrator.wait_for_password_cache(has_sessions(connection, job.server_role), job.password_cache_seconds)
        changed = [table_set.name for table_set in sets if table_set.due is not Due.NOTHING]
        done = f"{' and '.join(changed)} tables changed" if changed else "nothing to change"
        print(f"MLflow {job.mlflow_version}: schema {sets[0].head}, {done}", flush=True)


def restore_dump(job: Job, name: str) -> None:
    """Dump the database, then restore an earlier dump. Nothing else may work on the database."""
    with schema_job_lock(job.database_uri), connect(job.database_uri) as connection:
        server_version = connection.info.server_version
        dump.verify(name, server_version)
        chosen = next(each for each in dump.list_dumps() if each.name == name)
        revision = None
        if value(connection, "SELECT to_regclass('public.alembic_version')"):
            revision = value(connection, "SELECT version_num FROM public.alembic_version")
        current = dump.create(
            uri=job.database_uri,
            server_version=server_version,
            database=connection.info.dbname,
            database_bytes=value(connection, "SELECT pg_database_size(current_database())"),
            reason="rollback",
            revisions=(revision, chosen.from_revision),
            versions=(recorded_version(connection), chosen.from_version),
        )
        print(f"dumped the database as {current.name} ({current.size} bytes)", flush=True)
        restore.restore(connection, job, name)
        print(f"restored {name}: schema {chosen.from_revision}", flush=True)


def migrate_command() -> int:
    """`migrate`."""
    argparse.ArgumentParser(prog="migrate", description="Create or migrate MLflow's tables, after a dump.").parse_args()
    return _exit_code("migrate", lambda: migrate(job_of(os.environ, version("mlflow"))))


def restore_command() -> int:
    """`restore NAME`."""
    parser = argparse.ArgumentParser(prog="restore", description="Restore a dump.")
    parser.add_argument("name", help="as `dumps` lists it")
    name = parser.parse_args().name
    return _exit_code("restore", lambda: restore_dump(job_of(os.environ, version("mlflow")), name))


def dumps_command() -> int:
    """`dumps [--lost]`."""
    parser = argparse.ArgumentParser(prog="dumps", description="Print the dumps as JSON, newest first.")
    parser.add_argument("--lost", action="store_true", help="include dumps whose file is missing")
    lost = parser.parse_args().lost
    return _exit_code("dumps", lambda: print(dumps.dump(dump.list_dumps(lost=lost))))


def requirements_command() -> int:
    """`schema-requirements`."""
    description = "Print what this image requires of its database, as JSON. Does not connect to the database."
    argparse.ArgumentParser(prog="schema-requirements", description=description).parse_args()
    sign_in = environment.AUTH_CONFIG_PATH in os.environ
    return _exit_code("schema-requirements", lambda: print(schema.dump(requirements.requirements(sign_in=sign_in))))


def _exit_code(command: str, work: Callable[[], None]) -> int:
    # Dumps contain password hashes: only their owner may read them.
    os.umask(0o077)
    try:
        work()
    except (Refused, Failed) as error:
        print(f"{command}: {error.report}", file=sys.stderr)
        return exit_code(error)
    return 0
