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

from ..migration.connections import connect, schema_job_lock
from ..migration.job import BACKUPS, Failed, Job, Refused
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
from .checks import Compared, compared
from .options import Order
from .plans import DEFAULT, Clash, Experiment, Plan
from .progress import tell
from .tables import Table, described
from .target import Connection

if TYPE_CHECKING:
    from sqlalchemy import MetaData


def bring(order: Order, job: Job) -> None:
    """Import the store, or print the plan of a dry run. Raises `Refused` or `Failed` if it was not committed."""
    # The garbage collector would take half of the time to look for reference cycles, which rows do not have.
    gc.disable()
    if order.users and job.administrator is None:
        raise Refused(
            "users cannot be imported: sign-in is off in this stack; nothing was changed. "
            "Mend it with: bin/pulumi config set signIn true, make up, and the import again"
        )
    copy_file = sources.fetched(order.store)
    if order.rows_only:
        if not order.users:
            # `fill` copies only the tables of runs.
            with closing(sources.opened(copy_file)) as rows:
                for note in users.left_behind(rows):
                    tell(note=note)
        copy_file = sqlite_copy.fill(copy_file, job.mlflow_version)
    sources.bring_up_to_date(copy_file, job.mlflow_version)
    if order.users:
        people = sources.fetched(order.users, sources.SCRATCH / "users")
        if order.users_rows_only:
            people = sqlite_copy.fill_users(people, job.mlflow_version)
        users.join(people, copy_file, job.mlflow_version, set(_models().tables))
    with (
        schema_job_lock(job.database_uri),
        connect(job.database_uri) as connection,
        closing(sources.opened(copy_file)) as copy,
    ):
        if not order.dry_run:
            leftovers.remove(connection, artifacts.VOLUME)
        tables = _tables(connection, copy, job, with_users=order.users is not None)
        replaced = _examined(copy, tables, order)
        plan, expected = _prepared(connection, copy, tables, order, job)
        ids = _ids(connection, copy, plan, dry_run=order.dry_run)
        moves = artifact_plan.moves(copy, ids, order)
        changes = Changes(
            experiments=ids,
            numbers={} if order.dry_run else target.new_numbers(connection, copy, tables),
            addresses=moves.addresses,
            default=target.kept(connection, DEFAULT) if plan.takes_over_default else None,
        )
        examination.judge(examination.measure(copy, tables, changes), order)
        if order.dry_run:
            return
        if not any(expected.values()):
            tell(note="the store has nothing to import")
            return
        found = artifacts.found(moves.folders)
        copied = leftovers.write_down(artifacts.VOLUME, found.folders, ids.values())
        try:
            artifacts.copy(found)
            file = _in_one_transaction(connection, copy, tables, changes, expected, replaced, order, job)
        except Exception:
            # With a lost connection it is unknown whether it was committed. The next import finds out.
            with suppress(psycopg.Error, OSError):
                leftovers.remove(connection, artifacts.VOLUME)
            raise
        file = commit.finish(connection, expected, file, copied)
        tell(done=sum(expected.values()), file=f"{file.name} in the volume {job.backups_volume}")


def _models() -> MetaData:
    # Not at the top: it imports all of MLflow's models.
    metadata: MetaData = importlib.import_module("mlflow.store.db.utils").Base.metadata
    return metadata


def _tables(connection: Connection, copy: sqlite3.Connection, job: Job, *, with_users: bool) -> list[Table]:
    head = copy.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    if (found := target.revision(connection)) != head:
        raise Refused(f"the database has the schema {found}, and MLflow needs {head}. Mend it with: make up")
    stored = target.stored(connection)
    if ("experiments", "workspace") not in stored:
        raise Refused(
            f"MLflow {job.mlflow_version} is too old for an import: it has no workspaces. Mend it with: "
            "bin/pulumi config set mlflowVersion, and a newer version"
        )
    models = [*_models().sorted_tables, *(users.models().sorted_tables if with_users else [])]
    if with_users and ("roles", "name") not in stored:
        raise Refused(
            f"MLflow {job.mlflow_version} is too old for an import of users: it has no roles. Mend it with: "
            "bin/pulumi config set mlflowVersion, and a newer version"
        )
    return described(models, stored, sources.columns(copy))


def _examined(copy: sqlite3.Connection, tables: Sequence[Table], order: Order) -> int:
    """Remove or repair everything in the copy that PostgreSQL cannot hold. Returns the number of repaired values."""
    for note in (*copies.leave_out(copy, tables), *copies.take_out_orphans(copy, tables)):
        tell(note=note)
    found = examination.examine(copy, tables, copies.counts(copy, tables))
    examination.judge(found, order)
    return found.replaced.total()


def _prepared(
    connection: Connection, copy: sqlite3.Connection, tables: Sequence[Table], order: Order, job: Job
) -> tuple[Plan, dict[str, int]]:
    """Delete from the copy what is not imported, and rename the rest. Returns the plan and the rows of each table."""
    if order.users and job.administrator:
        said = users.without_administrator(copy, job.administrator.name)
        said += copies.take_out_orphans(copy, tables)
    else:
        said = users.left_behind(copy)
    for note in said:
        tell(note=note)
    taken = users.taken(connection, copy) if order.users else users.Taken()
    plan = replace(_plan(connection, copy, tables), others=taken.clashes)
    if plan.empty_default:
        copy.execute("DELETE FROM experiments WHERE experiment_id = ?", (DEFAULT,))
    if plan.takes_over_default:
        _say_what_is_kept(copy, target.kept(connection, DEFAULT))
    by_name = {table.name: table for table in tables}
    if "workspaces" in by_name:
        there = list(target.keys_there(connection, copy, by_name["workspaces"]))
        copies.drop_keys(copy, by_name["workspaces"], there)
    if order.clash is Clash.SKIP:
        users.drop(copy, taken)
        _skip(connection, copy, tables, plan)
    if order.users:
        for note in (*permissions.take_out_lost(copy), *permissions.on_everything(copy)):
            tell(note=note)
    if not order.dry_run or not plan.clashes:
        _refuse_what_is_there(connection, copy, by_name["runs"])
    if order.clash is Clash.RENAME:
        _rename(connection, copy, tables, plan)
        for note in users.rename(connection, copy, taken):
            tell(note=note)
    elif order.clash is Clash.REFUSE and not order.dry_run:
        plans.refuse_clashes(plan)
    artifact_plan.say_what_stays(copy, order)
    expected = copies.counts(copy, tables)
    tell(plan={name: rows for name, rows in expected.items() if rows}, clashes=plan.clashes, clash=order.clash.value)
    return plan, expected


def _say_what_is_kept(copy: sqlite3.Connection, ours: Mapping[str, object]) -> None:
    query = "SELECT name, lifecycle_stage FROM experiments WHERE experiment_id = ?"
    name, stage = copy.execute(query, (DEFAULT,)).fetchone()
    if name != ours["name"]:
        tell(note=f"experiment {name!r} becomes {ours['name']!r}, the default experiment of this server")
    if (ours["lifecycle_stage"], stage) == ("active", "deleted"):
        tell(note=f"experiment {name!r} is deleted in the old store, and is active here with its imported runs")


def _plan(connection: Connection, copy: sqlite3.Connection, tables: Sequence[Table]) -> Plan:
    return plans.planned(
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
        tell(note=f"{clash} not imported: it exists already")
    copies.drop(copy, tables, [each.id for each in plan.experiments], plan.models)
    for table in tables:
        # Equal serial numbers do not mean equal rows: imported rows get new numbers.
        known = table.counter is not None or table.name in ("experiments", "registered_models")
        if table.key and not table.references and not known:
            there = [key for key in target.keys_there(connection, copy, table) if not links.with_experiment(table, key)]
            if found := copies.drop_keys(copy, table, there):
                tell(note=f"{found:,} of {table.name} not imported: they exist already")
    copies.take_out_orphans(copy, tables)


def _refuse_what_is_there(connection: Connection, copy: sqlite3.Connection, runs: Table) -> None:
    for (run,) in target.keys_there(connection, copy, runs):
        raise Refused(
            f"already imported: the run {run} is in the database; nothing was changed. "
            'Mend it with IMPORT="--clash skip", which imports only what is missing'
        )


def _rename(connection: Connection, copy: sqlite3.Connection, tables: Sequence[Table], plan: Plan) -> None:
    ours = {each.name for each in target.experiments(connection)} | {each.name for each in _experiments(copy)}
    models = {name for _, name in target.models(connection)}
    models |= {name for (name,) in copy.execute("SELECT name FROM registered_models")}
    experiments = [(each.id, plans.renamed(each.name, ours)) for each in plan.experiments]
    others = [(workspace, name, plans.renamed(name, models)) for workspace, name in plan.models]
    for note in copies.rename(copy, tables, experiments, others):
        tell(note=note)
    for old, new in [*zip(plan.experiments, experiments, strict=True)]:
        tell(note=f"experiment {old.name!r} becomes {new[1]!r}")
    for _, old_name, new_name in others:
        tell(note=f"model {old_name!r} becomes {new_name!r}")


def _ids(connection: Connection, copy: sqlite3.Connection, plan: Plan, *, dry_run: bool) -> dict[int, int]:
    """The new id of every experiment. In a dry run, the largest id, so that the lengths of addresses are checked."""
    old = [each.id for each in _experiments(copy)]
    if dry_run:
        return dict.fromkeys(old, plans.LARGEST)
    return target.new_ids(connection, old, keep=plan.keep_ids, default=plan.takes_over_default)


def _in_one_transaction(
    connection: Connection,
    copy: sqlite3.Connection,
    tables: Sequence[Table],
    changes: Changes,
    expected: Mapping[str, int],
    replaced: int,
    order: Order,
    job: Job,
) -> Path:
    """Write the rows, read them back, compare them, and commit. Returns the future path of the comparison."""
    with commit.committed(connection):
        leftovers.hold(connection)
        written = load.write(connection, copy, tables, changes, expected)
        found = load.read_back(connection, copy, tables, changes, written)
        comparison = [each for each in compared(expected, written, found) if each.expected]
        for each in comparison:
            tell(compared=each.shown())
        if different := [each.table for each in comparison if not each.same]:
            raise Failed(
                f"the rows read back from {', '.join(different)} differ from the rows written; nothing was changed. "
                "Mend it by running it again, and report it if it happens again"
            )
        return _keep(comparison, changes, replaced, order, job)


def _keep(comparison: Sequence[Compared], changes: Changes, replaced: int, order: Order, job: Job) -> Path:
    """Write the comparison to a partial file. If that fails, the import fails: it would have no proof."""
    moment = datetime.now(UTC)
    file = BACKUPS / f"import-{moment:%Y%m%dT%H%M%SZ}.json"
    report = {
        "created": moment.isoformat(timespec="seconds"),
        "source": order.shown,
        "mlflow_version": job.mlflow_version,
        "values_changed": replaced,
        "experiments": {str(old): new for old, new in changes.experiments.items()},
        "tables": [each.shown() for each in comparison],
    }
    with commit.unfinished(file).open("w") as written:
        written.write(json.dumps(report, indent=2) + "\n")
        written.flush()
        os.fsync(written.fileno())
    return file
