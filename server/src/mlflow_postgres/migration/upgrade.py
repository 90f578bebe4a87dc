"""Upgrades the tables with MLflow's own commands, after a dump. If that fails, the dump is restored."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from contract.dumps import Dump

from ..errors import Failed, Refused
from . import dump, restore, tuning
from .connections import value
from .job import Job
from .programs import Outcome, python, without_rows
from .revisions import Due, TableSet, named_tables, table_sets

# Creates the tables as the server does. `mlflow db upgrade` of older versions fails on an empty database.
_CREATE_TABLES = (
    "import sys; from mlflow.store.db import utils;"
    "utils._initialize_tables(utils.create_sqlalchemy_engine_with_retry(sys.argv[1]))"
)


def upgrade(connection: psycopg.Connection, job: Job, sets: Sequence[TableSet], recorded: str | None) -> None:
    """Create or migrate what is due. Raises `Failed` if that fails; the database is then as it was."""
    earlier = None
    if any(table_set.due is Due.MIGRATE for table_set in sets):
        earlier = dump_before(connection, job, sets, recorded)
        indexed = {table for table, _ in tuning.INDEXES.values()}
        tuning.drop_indexes(
            connection, named_tables([script for table_set in sets for script in table_set.pending], indexed)
        )
    try:
        _migrate(connection, job, sets, earlier)
    except Exception:
        if earlier:
            # The former server continues to run, and its searches need the indexes.
            _recreate_indexes(connection)
        raise


def _recreate_indexes(connection: psycopg.Connection) -> None:
    """Create the dropped indexes again. An error is only printed: the migration's error must stay the last one."""
    try:
        tuning.tune(connection)
    except psycopg.Error as error:
        print(f"indexes: {without_rows(str(error))}; left for the next run", flush=True)


def _migrate(connection: psycopg.Connection, job: Job, sets: Sequence[TableSet], earlier: Dump | None) -> None:
    for table_set in sets:
        if table_set.due is Due.NOTHING:
            continue
        print(f"{table_set.name} tables: {table_set.current or 'none'} -> {table_set.head}", flush=True)
        outcome = _command(table_set, job, connection.info.server_version)
        if not outcome.succeeded:
            print("\n".join(outcome.error_lines[-20:]), flush=True)
            raise _failure(connection, job, sets, earlier, f"{table_set.name} tables: {outcome.reason}")


def dump_before(connection: psycopg.Connection, job: Job, sets: Sequence[TableSet], recorded: str | None) -> Dump:
    """Dump the database before it is migrated."""
    main = sets[0]
    return _dump(connection, job, job.mlflow_version, (main.current, main.head), (recorded, job.mlflow_version))


def _dump(
    connection: psycopg.Connection,
    job: Job,
    reason: str,
    revisions: tuple[str | None, str | None],
    versions: tuple[str | None, str | None],
) -> Dump:
    sidecar = dump.create(
        uri=job.database_uri,
        server_version=connection.info.server_version,
        database=connection.info.dbname,
        database_bytes=value(connection, "SELECT pg_database_size(current_database())"),
        reason=reason,
        revisions=revisions,
        versions=versions,
    )
    print(f"dumped the database as {sidecar.name} ({sidecar.size} bytes)", flush=True)
    return sidecar


def _command(table_set: TableSet, job: Job, server_version: int) -> Outcome:
    if table_set.name == "sign-in":
        return python(["-m", "mlflow.server.auth", "db", "upgrade", "--url", job.store_uri], server_version)
    if table_set.due is Due.CREATE:
        return python(["-c", _CREATE_TABLES, job.store_uri], server_version)
    return python(["-m", "mlflow", "db", "upgrade", job.store_uri], server_version)


def _failure(
    connection: psycopg.Connection, job: Job, sets: Sequence[TableSet], earlier: Dump | None, cause: str
) -> Failed:
    """Restore the dump if the database has changed. Returns the error."""
    if earlier is None:
        return Failed(
            "tables-not-created",
            f"MLflow could not create its tables; the tables made so far are kept. The cause, {cause}",
            remedy="make up, which continues",
        )
    now = table_sets(
        connection, sign_in=job.administrator is not None, mlflow_version=job.mlflow_version, recorded=None
    )
    state = f"the database is as it was, at {sets[0].current},"
    if [table_set.current for table_set in now] != [table_set.current for table_set in sets]:
        try:
            # The former server has continued to log since the dump. This dump keeps those changes.
            since = _dump(connection, job, "rollback", (None, earlier.from_revision), (None, earlier.from_version))
            restore.restore(connection, job, earlier.name)
        except (Refused, Failed) as error:
            return Failed(
                "schema-between-versions",
                f"MLflow {job.mlflow_version} could not migrate all tables: the database is between two schemas. "
                f"Restoring it failed: {error.seen}. The first error, {cause}",
                remedy=f"make rollback DUMP={earlier.name}",
            )
        state = (
            f"the database was restored from the dump, at {sets[0].current} (what was logged since is in {since.name}),"
        )
    return Failed(
        "migration-failed",
        f"MLflow {job.mlflow_version} could not migrate; {state} and the former server still runs on it; the dump is "
        f"{earlier.name} in the volume {job.backups_volume}. The cause, {cause}",
        remedy=f"bin/pulumi config set mlflowVersion {earlier.from_version or 'and the version that ran before'}, or "
        "remove the cause and make up",
    )
