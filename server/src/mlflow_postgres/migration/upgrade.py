"""Upgrades the tables with MLflow's own commands, after a dump. If that fails, the dump is restored."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from contract.dumps import Dump

from . import dump, restore, tuning
from .connections import value
from .job import Failed, Job
from .programs import Outcome, python, without_rows
from .revisions import Due, Part, parts, touched

# Creates the tables as the server does. `mlflow db upgrade` of older versions fails on an empty database.
_MAKE = (
    "import sys; from mlflow.store.db import utils;"
    "utils._initialize_tables(utils.create_sqlalchemy_engine_with_retry(sys.argv[1]))"
)


def change(connection: psycopg.Connection, job: Job, wanted: Sequence[Part], remembered: str | None) -> None:
    """Create or migrate what is due. Raises `Failed` if that fails; the database is then as it was."""
    kept = None
    if any(part.due is Due.MIGRATE for part in wanted):
        kept = before(connection, job, wanted, remembered)
        indexed = {table for table, _ in tuning.INDEXES.values()}
        tuning.make_way(connection, touched([script for part in wanted for script in part.pending], indexed))
    try:
        _bring(connection, job, wanted, kept)
    except Exception:
        if kept:
            # The former server continues to run, and its searches need the indexes.
            _indexes_again(connection)
        raise


def _indexes_again(connection: psycopg.Connection) -> None:
    """Create the dropped indexes again. An error is only printed: the migration's error must stay the last one."""
    try:
        tuning.tune(connection)
    except psycopg.Error as error:
        print(f"indexes: {without_rows(str(error))}; left for the next run", flush=True)


def _bring(connection: psycopg.Connection, job: Job, wanted: Sequence[Part], kept: Dump | None) -> None:
    for part in wanted:
        if part.due is Due.NOTHING:
            continue
        print(f"{part.name} tables: {part.current or 'none'} -> {part.head}", flush=True)
        outcome = _command(part, job, connection.info.server_version)
        if not outcome.succeeded:
            print("\n".join(outcome.shown[-20:]), flush=True)
            raise Failed(f"{_put_back(connection, job, wanted, kept)} {part.name} tables: {outcome.reason}")


def before(connection: psycopg.Connection, job: Job, wanted: Sequence[Part], remembered: str | None) -> Dump:
    """Dump the database before it is migrated."""
    main = wanted[0]
    return _dump(connection, job, job.mlflow_version, (main.current, main.head), (remembered, job.mlflow_version))


def _dump(
    connection: psycopg.Connection,
    job: Job,
    reason: str,
    revisions: tuple[str | None, str | None],
    versions: tuple[str | None, str | None],
) -> Dump:
    sidecar = dump.make(
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


def _command(part: Part, job: Job, server_version: int) -> Outcome:
    if part.name == "sign-in":
        return python(["-m", "mlflow.server.auth", "db", "upgrade", "--url", job.store_uri], server_version)
    if part.due is Due.MAKE:
        return python(["-c", _MAKE, job.store_uri], server_version)
    return python(["-m", "mlflow", "db", "upgrade", job.store_uri], server_version)


def _put_back(connection: psycopg.Connection, job: Job, wanted: Sequence[Part], kept: Dump | None) -> str:
    """Restore the dump if the database has changed. Returns an error message that ends before the reason."""
    if kept is None:
        return "MLflow could not create its tables; the tables made so far are kept, and the next run continues:"
    now = parts(connection, sign_in=job.administrator is not None, mlflow_version=job.mlflow_version, remembered=None)
    state = f"the database is as it was, at {wanted[0].current},"
    if [part.current for part in now] != [part.current for part in wanted]:
        # The former server has continued to log since the dump. This dump keeps those changes.
        since = _dump(connection, job, "rollback", (None, kept.from_revision), (None, kept.from_version))
        try:
            restore.put_back(connection, job, kept.name)
        except Failed as error:
            return (
                f"MLflow {job.mlflow_version} could not migrate all tables: the database is between two schemas. "
                f"Restoring it failed: {error}. Use the dump {kept.name}. The first error,"
            )
        state = (
            f"the database was restored from the dump, at {wanted[0].current} (what was logged since is in "
            f"{since.name}),"
        )
    return (
        f"MLflow {job.mlflow_version} could not migrate; {state} and the former server still runs on it; the dump is "
        f"{kept.name} in the volume {job.backups_volume}. Go on with: bin/pulumi config set mlflowVersion "
        f"{kept.from_version or 'and the version that ran before'}, or remove the cause and run make up again."
        " The cause,"
    )
