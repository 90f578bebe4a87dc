"""Restores the database from before an upgrade, and the version of MLflow that used it."""

from __future__ import annotations

import argparse
import subprocess
from contextlib import closing

from contract import dumps, labels, roles
from contract.dumps import ListedDump
from contract.errors import UserError

from . import execution, helper_containers, schema_job
from .execution import ExecutionError
from .runtime import Connect, Container, Runtime, service
from .stack import PROJECT, not_running, prefix, pulumi, short_name

_COMMAND = "rollback"

# Seconds that MLflow's server gets to end its requests.
_STOP_SECONDS = 30


def run(options: argparse.Namespace, connect: Connect) -> None:
    """Restore a dump, then bring up its version of MLflow.

    The present database is dumped first. Raises `UserError` if there is no dump, or if it could not be restored; the
    database is then unchanged, and the server runs again.
    """
    with closing(connect()) as runtime:
        if options.list:
            for dump in _dumps(runtime, schema_job.find(runtime, options.stack)):
                print(f"{dump.name}  MLflow {dump.from_version or 'unknown'}  {dump.size} bytes")
            return
        again = f"make rollback STACK={short_name(options.stack)}"
        with helper_containers.lock_when_idle(runtime, options.stack, _COMMAND, waits=False, again=again):
            # `up` runs in a child process, which shares the lock.
            _bring_up(options.stack, _go_back(runtime, options))


def _go_back(runtime: Runtime, options: argparse.Namespace) -> str:
    """Restore the dump. Returns the version of MLflow that used it."""
    job = schema_job.find(runtime, options.stack)
    dump = _chosen(_dumps(runtime, job), options.dump)
    version: str | None = options.to or dump.from_version
    if not version:
        raise UserError(
            "dump-without-version",
            f"the dump {dump.name} does not say which version of MLflow worked on it",
            remedy=f"python -m ops rollback --stack {options.stack} --dump {dump.name} --to VERSION",
        )
    if not (PROJECT / "images" / "mlflow" / "locks" / f"{version}.txt").exists():
        raise UserError(
            "lock-file-missing",
            f"MLflow {version} has no lock file here, so it could not be brought up; nothing was touched",
            remedy=f"make lock MLFLOW={version}",
        )
    if not options.dump:
        _refuse_without_need(runtime, options.stack, dump)
    print(f"restoring {dump.name} ({dump.created}), of MLflow {version}", flush=True)
    _restore(runtime, job, options.stack, dump.name)
    # The database has the administrator and the keys of the dump now. The job must run again to set the present ones.
    runtime.remove(job)
    return version


def _dumps(runtime: Runtime, job: Container) -> list[ListedDump]:
    return dumps.parse(schema_job.run(runtime, job, "dumps", command=_COMMAND))


def _chosen(found: list[ListedDump], name: str | None) -> ListedDump:
    """The dump with that name, or the newest dump of an upgrade."""
    upgrades = [
        dump for dump in found if (dump.name == name if name else not dump.name.startswith(dumps.BEFORE_ROLLBACK))
    ]
    if not upgrades:
        known = ", ".join(dump.name for dump in found) or "none"
        raise UserError("dump-missing", f"there is no dump {name or 'of an upgrade'} to go back to; there are: {known}")
    return upgrades[0]


def _restore(runtime: Runtime, job: Container, stack: str, dump: str) -> None:
    """Stop the server and restore the dump. Start the server again only if that fails: else its version is wrong."""
    servers = _servers(runtime, stack)
    for server in servers:
        runtime.stop(server, _STOP_SECONDS)
    try:
        print(schema_job.run(runtime, job, "restore", dump, command=_COMMAND, changes=True), end="", flush=True)
    except BaseException:
        for server in servers:
            runtime.start(server)
        raise


def _servers(runtime: Runtime, stack: str) -> list[Container]:
    return [
        each for each in runtime.containers(prefix(stack)) if each.role == roles.MLFLOW and each.kind == labels.SERVICE
    ]


def _refuse_without_need(runtime: Runtime, stack: str, dump: ListedDump) -> None:
    """Refuse a rollback unless the dump is of the last upgrade, and that upgrade has succeeded.

    After a failed upgrade, the runs logged since are in no dump. A later upgrade may have changed no table, and made no
    dump.
    """
    revision = _query(runtime, stack, "SELECT version_num FROM alembic_version")
    version = _query(runtime, stack, "SELECT mlflow_version FROM mlflow_postgres.versions ORDER BY since DESC LIMIT 1")
    anyway = f"or restore it anyway with: make rollback STACK={short_name(stack)} DUMP={dump.name}"
    if revision == dump.from_revision:
        raise UserError(
            "rollback-needless",
            f"the database has the schema from before the upgrade to MLflow {dump.to_version}: a rollback is not "
            "needed; nothing was touched",
            remedy=f"bin/pulumi config set mlflowVersion {dump.from_version}; {anyway}",
        )
    # An upgrade that failed after its migration is not recorded.
    if version not in (dump.to_version, dump.from_version or ""):
        raise UserError(
            "dump-too-old",
            f"the newest dump, {dump.name}, is from before MLflow {dump.to_version}, and MLflow {version} has run "
            "since; nothing was touched",
            remedy=f"bin/pulumi config set mlflowVersion, and the version to run; {anyway}",
        )


def _query(runtime: Runtime, stack: str, statement: str) -> str:
    """The database's answer; empty if the statement fails."""
    database = service(runtime, prefix(stack), roles.POSTGRES)
    if database is None:
        raise not_running(roles.POSTGRES, stack)
    try:
        return execution.query(runtime, database, statement).strip()
    except ExecutionError:
        return ""


def _bring_up(stack: str, version: str) -> None:
    pulumi("config", "set", "mlflowVersion", version, "--stack", stack)
    command = [str(PROJECT / "bin" / "pulumi"), "up", "--yes", "--skip-preview", "--non-interactive", "--stack", stack]
    if subprocess.run(command, cwd=PROJECT, check=False).returncode:
        raise UserError(
            "rollback-not-up",
            f"the database is restored, but MLflow {version} did not come up",
            remedy=f"make up STACK={short_name(stack)}",
        )
