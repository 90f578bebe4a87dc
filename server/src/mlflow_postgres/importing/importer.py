"""The steps of an import, from the store to the commit."""

from __future__ import annotations

import gc
import importlib
import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from ..errors import Failed, Refused
from ..migration.connections import connect, schema_job_lock
from ..migration.job import Job
from . import (
    artifact_plan,
    artifacts,
    commit,
    copies,
    examination,
    leftovers,
    links,
    load,
    permissions,
    plans,
    sources,
    sqlite_copy,
    target,
    users,
)
from .changes import Changes
from .comparison import TableComparison, compare
from .options import Folders, Options
from .plans import DEFAULT, Clash, Experiment, Plan
from .progress import emit
from .tables import Table, import_tables
from .target import Connection

if TYPE_CHECKING:
    from sqlalchemy import MetaData


def run_import(options: Options, job: Job, folders: Folders) -> None:
    """Import the store, or print the plan of a dry run. Raises `Refused` or `Failed` if it was not committed."""
    # The garbage collector would take half of the time to look for reference cycles, which rows do not have.
    gc.disable()
    if options.users and job.administrator is None:
        raise Refused(
            "users-without-sign-in",
            "users cannot be imported: sign-in is off in this stack",
            remedy="bin/pulumi config set signIn true, make up, and the import again",
        )
    copy_file = sources.copy_store(options.store, folders.scratch)
    if options.rows_only:
        if not options.users:
            # `fill` copies only the tables of runs.
            with closing(sources.open_copy(copy_file)) as rows:
                for note in users.not_imported(rows):
                    emit(note=note)
        copy_file = sqlite_copy.fill(copy_file, job.mlflow_version)
    sources.upgrade_copy(copy_file, job.mlflow_version)
    if options.users:
        users_file = sources.copy_store(options.users, folders.scratch / "users")
        if options.users_rows_only:
            users_file = sqlite_copy.fill_users(users_file, job.mlflow_version)
        users.add_tables(users_file, copy_file, job.mlflow_version, set(_models().tables))
    with (
        schema_job_lock(job.database_uri),
        connect(job.database_uri) as connection,
        closing(sources.open_copy(copy_file)) as copy,
    ):
        if not options.dry_run:
            leftovers.remove(connection, folders.artifacts, folders.backups)
        tables = _tables(connection, copy, job, with_users=options.users is not None)
        replaced = _examine(copy, tables, options)
        plan, expected = _prepare(connection, copy, tables, options, job)
        ids = _new_ids(connection, copy, plan, dry_run=options.dry_run)
        moves = artifact_plan.plan_moves(copy, ids, options)
        changes = Changes(
            experiments=ids,
            numbers={} if options.dry_run else target.new_numbers(connection, copy, tables),
            addresses=moves.addresses,
            default=target.kept_values(connection, DEFAULT) if plan.replaces_default else None,
        )
        examination.report(examination.check_addresses(copy, tables, changes), options)
        if options.dry_run:
            return
        if not any(expected.values()):
            emit(note="the store has nothing to import")
            return
        found = artifacts.find(moves.folders, folders.artifacts)
        copied = leftovers.record(folders.artifacts, found.folders, ids.values(), folders.backups)
        try:
            artifacts.copy(found)
            file = _write_and_compare(
                connection, copy, tables, changes, expected, replaced, options, job, folders.backups
            )
        except Exception:
            # With a lost connection it is unknown whether it was committed. The next import finds out.
            with suppress(psycopg.Error, OSError):
                leftovers.remove(connection, folders.artifacts, folders.backups)
            raise
        file = commit.finish(connection, expected, file, copied)
        emit(done=sum(expected.values()), file=f"{file.name} in the volume {job.backups_volume}")


def _models() -> MetaData:
    # Not at the top: it imports all of MLflow's models.
    metadata: MetaData = importlib.import_module("mlflow.store.db.utils").Base.metadata
    return metadata


def _tables(connection: Connection, copy: sqlite3.Connection, job: Job, *, with_users: bool) -> list[Table]:
    head = copy.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    if (found := target.revision(connection)) != head:
        raise Refused(
            "schema-outdated", f"the database has the schema {found}, and MLflow needs {head}", remedy="make up"
        )
    stored = target.stored(connection)
    if ("experiments", "workspace") not in stored:
        raise _too_old(job, "an import: it has no workspaces")
    models = [*_models().sorted_tables, *(users.models().sorted_tables if with_users else [])]
    if with_users and ("roles", "name") not in stored:
        raise _too_old(job, "an import of users: it has no roles")
    return import_tables(models, stored, sources.columns(copy))


def _too_old(job: Job, purpose: str) -> Refused:
    return Refused(
        "mlflow-version-too-old",
        f"MLflow {job.mlflow_version} is too old for {purpose}",
        remedy="bin/pulumi config set mlflowVersion, and a newer version",
    )


def _examine(copy: sqlite3.Connection, tables: Sequence[Table], options: Options) -> int:
    """Remove or repair everything in the copy that PostgreSQL cannot hold. Returns the number of repaired values."""
    for note in (*copies.empty_excluded_tables(copy, tables), *copies.delete_orphans(copy, tables)):
        emit(note=note)
    found = examination.examine(copy, tables, copies.counts(copy, tables))
    examination.report(found, options)
    return found.replaced.total()


def _prepare(
    connection: Connection, copy: sqlite3.Connection, tables: Sequence[Table], options: Options, job: Job
) -> tuple[Plan, dict[str, int]]:
    """Delete from the copy what is not imported, and rename the rest. Returns the plan and the rows of each table."""
    if options.users and job.administrator:
        messages = users.delete_administrator(copy, job.administrator.name)
        messages += copies.delete_orphans(copy, tables)
    else:
        messages = users.not_imported(copy)
    for note in messages:
        emit(note=note)
    taken = users.find_clashes(connection, copy) if options.users else users.Clashes()
    plan = replace(_plan(connection, copy, tables), others=taken.clashes)
    if plan.empty_default:
        copy.execute("DELETE FROM experiments WHERE experiment_id = ?", (DEFAULT,))
    if plan.replaces_default:
        _report_kept_values(copy, target.kept_values(connection, DEFAULT))
    by_name = {table.name: table for table in tables}
    if "workspaces" in by_name:
        existing = list(target.existing_keys(connection, copy, by_name["workspaces"]))
        copies.delete_keys(copy, by_name["workspaces"], existing)
    if options.clash is Clash.SKIP:
        users.delete(copy, taken)
        _skip(connection, copy, tables, plan)
    if options.users:
        for note in (*permissions.delete_orphans(copy), *permissions.wildcard_notes(copy)):
            emit(note=note)
    if not options.dry_run or not plan.clashes:
        _refuse_existing_runs(connection, copy, by_name["runs"])
    if options.clash is Clash.RENAME:
        _rename(connection, copy, tables, plan)
        for note in users.rename(connection, copy, taken):
            emit(note=note)
    elif options.clash is Clash.REFUSE and not options.dry_run:
        plans.refuse_clashes(plan)
    artifact_plan.report_uncopied(copy, options)
    expected = copies.counts(copy, tables)
    emit(plan={name: rows for name, rows in expected.items() if rows}, clashes=plan.clashes, clash=options.clash.value)
    return plan, expected


def _report_kept_values(copy: sqlite3.Connection, ours: Mapping[str, object]) -> None:
    query = "SELECT name, lifecycle_stage FROM experiments WHERE experiment_id = ?"
    name, stage = copy.execute(query, (DEFAULT,)).fetchone()
    if name != ours["name"]:
        emit(note=f"experiment {name!r} becomes {ours['name']!r}, the default experiment of this server")
    if (ours["lifecycle_stage"], stage) == ("active", "deleted"):
        emit(note=f"experiment {name!r} is deleted in the old store, and is active here with its imported runs")


def _plan(connection: Connection, copy: sqlite3.Connection, tables: Sequence[Table]) -> Plan:
    return plans.make_plan(
        _experiments(copy),
        target.experiments(connection),
        copy.execute("SELECT workspace, name FROM registered_models").fetchall(),
        target.models(connection),
        our_default_is_empty=not target.in_use(connection, tables, DEFAULT),
        their_default_is_empty=not copies.in_use(copy, tables, DEFAULT),
    )


def _experiments(copy: sqlite3.Connection) -> list[Experiment]:
    rows = copy.execute("SELECT experiment_id, workspace, name FROM experiments ORDER BY 1")
    return [Experiment(id=number, workspace=workspace, name=name) for number, workspace, name in rows]


def _skip(connection: Connection, copy: sqlite3.Connection, tables: Sequence[Table], plan: Plan) -> None:
    for clash in plan.clashes:
        emit(note=f"{clash} not imported: it exists already")
    copies.delete(copy, tables, [each.id for each in plan.experiments], plan.models)
    for table in tables:
        # Equal serial numbers do not mean equal rows: imported rows get new numbers.
        known = table.counter is not None or table.name in ("experiments", "registered_models")
        if table.key and not table.references and not known:
            existing = [
                key for key in target.existing_keys(connection, copy, table) if not links.with_experiment(table, key)
            ]
            if found := copies.delete_keys(copy, table, existing):
                emit(note=f"{found:,} of {table.name} not imported: they exist already")
    copies.delete_orphans(copy, tables)


def _refuse_existing_runs(connection: Connection, copy: sqlite3.Connection, runs: Table) -> None:
    for (run,) in target.existing_keys(connection, copy, runs):
        raise Refused(
            "already-imported",
            f"already imported: the run {run} is in the database",
            remedy='IMPORT="--clash skip", which imports only what is missing',
        )


def _rename(connection: Connection, copy: sqlite3.Connection, tables: Sequence[Table], plan: Plan) -> None:
    ours = {each.name for each in target.experiments(connection)} | {each.name for each in _experiments(copy)}
    models = {name for _, name in target.models(connection)}
    models |= {name for (name,) in copy.execute("SELECT name FROM registered_models")}
    experiments = [(each.id, plans.renamed(each.name, ours)) for each in plan.experiments]
    others = [(workspace, name, plans.renamed(name, models)) for workspace, name in plan.models]
    for note in copies.rename(copy, tables, experiments, others):
        emit(note=note)
    for old, new in [*zip(plan.experiments, experiments, strict=True)]:
        emit(note=f"experiment {old.name!r} becomes {new[1]!r}")
    for _, old_name, new_name in others:
        emit(note=f"model {old_name!r} becomes {new_name!r}")


def _new_ids(connection: Connection, copy: sqlite3.Connection, plan: Plan, *, dry_run: bool) -> dict[int, int]:
    """The new id of every experiment. In a dry run, the largest id, so that the lengths of addresses are checked."""
    old = [each.id for each in _experiments(copy)]
    if dry_run:
        return dict.fromkeys(old, plans.LARGEST)
    return target.new_ids(connection, old, keep=plan.keep_ids, default=plan.replaces_default)


def _write_and_compare(
    connection: Connection,
    copy: sqlite3.Connection,
    tables: Sequence[Table],
    changes: Changes,
    expected: Mapping[str, int],
    replaced: int,
    options: Options,
    job: Job,
    backups: Path,
) -> Path:
    """Write the rows, read them back, compare them, and commit. Returns the future path of the comparison."""
    with commit.transaction(connection):
        leftovers.hold_lock(connection)
        written = load.write(connection, copy, tables, changes, expected)
        found = load.read_back(connection, copy, tables, changes, written)
        comparison = [each for each in compare(expected, written, found) if each.expected]
        for each in comparison:
            emit(compared=each.shown())
        if different := [each.table for each in comparison if not each.same]:
            raise Failed(
                "rows-differ",
                f"the rows read back from {', '.join(different)} differ from the rows written; nothing was changed",
                remedy="the same import again; report it if it happens again",
            )
        return _write_comparison(comparison, changes, replaced, options, job, backups)


def _write_comparison(
    comparison: Sequence[TableComparison],
    changes: Changes,
    replaced: int,
    options: Options,
    job: Job,
    backups: Path,
) -> Path:
    """Write the comparison to a partial file. If that fails, the import fails: it would have no proof."""
    moment = datetime.now(UTC)
    file = backups / f"import-{moment:%Y%m%dT%H%M%SZ}.json"
    report = {
        "created": moment.isoformat(timespec="seconds"),
        "source": options.source_name,
        "mlflow_version": job.mlflow_version,
        "values_changed": replaced,
        "experiments": {str(old): new for old, new in changes.experiments.items()},
        "tables": [each.shown() for each in comparison],
    }
    with commit.partial_path(file).open("w") as written:
        written.write(json.dumps(report, indent=2) + "\n")
        written.flush()
        os.fsync(written.fileno())
    return file
