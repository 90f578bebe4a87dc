"""Go back: the database as it was before an upgrade, and the version of MLflow that worked on it."""

from __future__ import annotations

import argparse
import subprocess

import docker
from docker.models.containers import Container

from contract import dumps, labels, roles
from contract.dumps import ListedDump
from contract.errors import UserError
from preflight.engine import open_engine

from . import helpers, inside, job, objects
from .inside import InsideError
from .stack import PROJECT, not_running, prefix, pulumi, short_name

_COMMAND = "rollback"


def run(options: argparse.Namespace) -> None:
    """Put a dump back, then bring up the version of MLflow that it was made under.

    What is in the database now is dumped first. Raises `UserError` if there is nothing to go back to, or if the dump
    could not be put back; the database is then as it was, and the server runs again.
    """
    engine = open_engine()
    try:
        if options.list:
            for dump in _dumps(engine, job.find(engine, options.stack)):
                print(f"{dump.name}  MLflow {dump.from_version or 'unknown'}  {dump.size} bytes")
            return
        again = f"make rollback STACK={short_name(options.stack)}"
        with helpers.alone(engine, options.stack, _COMMAND, waits=False, again=again):
            # What it starts goes on with its turn.
            _bring_up(options.stack, _go_back(engine, options))
    finally:
        engine.close()


def _go_back(engine: docker.DockerClient, options: argparse.Namespace) -> str:
    """Put the dump back; the version of MLflow that worked on it."""
    its_job = job.find(engine, options.stack)
    dump = _chosen(_dumps(engine, its_job), options.dump)
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
        _refuse_without_need(engine, options.stack, dump)
    print(f"putting back {dump.name} ({dump.created}), of MLflow {version}", flush=True)
    _restore(engine, its_job, options.stack, dump.name)
    # It sees to the administrator and the keys as well, which are those of the dump now: it is to run again.
    objects.remove_container(its_job)
    return version


def _dumps(engine: docker.DockerClient, its_job: Container) -> list[ListedDump]:
    return dumps.parse(job.run(engine, its_job, "dumps", by=_COMMAND))


def _chosen(found: list[ListedDump], name: str | None) -> ListedDump:
    """The dump of a name, or the newest that an upgrade made."""
    upgrades = [
        dump for dump in found if (dump.name == name if name else not dump.name.startswith(dumps.BEFORE_ROLLBACK))
    ]
    if not upgrades:
        known = ", ".join(dump.name for dump in found) or "none"
        raise UserError("dump-missing", f"there is no dump {name or 'of an upgrade'} to go back to; there are: {known}")
    return upgrades[0]


def _restore(engine: docker.DockerClient, its_job: Container, stack: str, dump: str) -> None:
    """Stop who writes, put the dump back, and start them again only if that failed: the versions differ after it."""
    servers = _servers(engine, stack)
    for server in servers:
        server.stop(timeout=30)
    try:
        print(job.run(engine, its_job, "restore", dump, by=_COMMAND, changes=True), end="", flush=True)
    except BaseException:
        for server in servers:
            server.start()
        raise


def _servers(engine: docker.DockerClient, stack: str) -> list[Container]:
    return [
        each
        for each in objects.containers(engine, prefix(stack))
        if objects.label(each, labels.ROLE) == roles.MLFLOW and objects.label(each, labels.KIND) == labels.SERVICE
    ]


def _refuse_without_need(engine: docker.DockerClient, stack: str, dump: ListedDump) -> None:
    """Go back from the upgrade that the dump was made before, and from nothing else: not from one that failed, after
    which what was logged since is in no dump, and not over a later one that changed no table."""
    revision = _asked(engine, stack, "SELECT version_num FROM alembic_version")
    version = _asked(engine, stack, "SELECT mlflow_version FROM mlflow_postgres.versions ORDER BY since DESC LIMIT 1")
    anyway = f"or put it back all the same with: make rollback STACK={short_name(stack)} DUMP={dump.name}"
    if revision == dump.from_revision:
        raise UserError(
            "rollback-needless",
            f"the database has the schema that it had before the upgrade to MLflow {dump.to_version}, so there is "
            "nothing to go back from; nothing was touched",
            remedy=f"bin/pulumi config set mlflowVersion {dump.from_version}; {anyway}",
        )
    # An upgrade that failed after it had migrated is not in the record yet.
    if version not in (dump.to_version, dump.from_version or ""):
        raise UserError(
            "dump-too-old",
            f"the newest dump, {dump.name}, is of before MLflow {dump.to_version}, and {version} has been here "
            "since; nothing was touched",
            remedy=f"bin/pulumi config set mlflowVersion, and the version to run; {anyway}",
        )


def _asked(engine: docker.DockerClient, stack: str, query: str) -> str:
    """What the database says, over its local socket; empty if it cannot."""
    for container in objects.containers(engine, prefix(stack)):
        if objects.label(container, labels.ROLE) == roles.POSTGRES and container.status == "running":
            try:
                return inside.ask(container, query).strip()
            except InsideError:
                return ""
    raise not_running(roles.POSTGRES, stack)


def _bring_up(stack: str, version: str) -> None:
    pulumi("config", "set", "mlflowVersion", version, "--stack", stack)
    command = [str(PROJECT / "bin" / "pulumi"), "up", "--yes", "--skip-preview", "--non-interactive", "--stack", stack]
    if subprocess.run(command, cwd=PROJECT, check=False).returncode:
        raise UserError(
            "rollback-not-up",
            f"the data is back, but MLflow {version} did not come up",
            remedy=f"make up STACK={short_name(stack)}",
        )
