"""Go back: the database as it was before an upgrade, and the version of MLflow that worked on it."""

from __future__ import annotations

import argparse
import json
import subprocess
from typing import Any

import docker
from docker.models.containers import Container

from components.engine import SERVICE
from preflight import open_engine

from . import job, objects
from .stack import PROJECT, StackError, prefix, pulumi, short_name

# What a rollback itself dumps first: the way back from it.
_BEFORE_ROLLBACK = "before-rollback-"


def run(options: argparse.Namespace) -> None:
    """Put a dump back, then bring up the version of MLflow that it was made under.

    What is in the database now is dumped first. Raises `StackError` if there is nothing to go back to, or if the dump
    could not be put back; the database is then as it was, and the server runs again.
    """
    engine = open_engine()
    try:
        its_job = job.find(engine, options.stack)
        dumps = json.loads(job.run(engine, its_job, "dumps"))
        if options.list:
            for dump in dumps:
                print(f"{dump['name']}  MLflow {dump['from_version'] or 'unknown'}  {dump['size']} bytes")
            return
        dump = _chosen(dumps, options.dump)
        version = options.to or dump["from_version"]
        if not version:
            raise StackError(
                f"the dump {dump['name']} does not say which version of MLflow worked on it. Mend it with: "
                f"python -m ops rollback --stack {options.stack} --dump {dump['name']} --to VERSION"
            )
        if not (PROJECT / "images" / "mlflow" / "locks" / f"{version}.txt").exists():
            raise StackError(
                f"MLflow {version} has no lock file here, so it could not be brought up; nothing was touched. "
                f"Mend it with: make lock MLFLOW={version}"
            )
        if not options.dump:
            _refuse_without_need(engine, options.stack, version)
        print(f"putting back {dump['name']}, of MLflow {version}; the server is stopped meanwhile", flush=True)
        _restore(engine, its_job, options.stack, str(dump["name"]))
    finally:
        engine.close()
    _bring_up(options.stack, version)


def _chosen(dumps: list[dict[str, Any]], name: str | None) -> dict[str, Any]:
    """The dump of a name, or the newest that an upgrade made."""
    upgrades = [
        dump for dump in dumps if (dump["name"] == name if name else not dump["name"].startswith(_BEFORE_ROLLBACK))
    ]
    if not upgrades:
        known = ", ".join(dump["name"] for dump in dumps) or "none"
        raise StackError(f"there is no dump {name or 'of an upgrade'} to go back to; there are: {known}")
    return upgrades[0]


def _restore(engine: docker.DockerClient, its_job: Container, stack: str, dump: str) -> None:
    """Stop who writes, put the dump back, and start them again only if that failed: the versions differ after it."""
    servers = _servers(engine, stack)
    for server in servers:
        server.stop(timeout=30)
    try:
        print(job.run(engine, its_job, "restore", dump), end="", flush=True)
    except BaseException:
        for server in servers:
            server.start()
        raise


def _servers(engine: docker.DockerClient, stack: str) -> list[Container]:
    return [
        each
        for each in objects.containers(engine, prefix(stack))
        if objects.label(each, "role") == "mlflow" and objects.label(each, "kind") == SERVICE
    ]


def _refuse_without_need(engine: docker.DockerClient, stack: str, version: str) -> None:
    """After an upgrade that failed the former version still runs, and what was logged since is not in the dump."""
    for server in _servers(engine, stack):
        code, said = server.exec_run(["python", "-c", "import importlib.metadata as m; print(m.version('mlflow'))"])
        if code == 0 and isinstance(said, bytes) and said.decode().strip() == version:
            raise StackError(
                f"MLflow {version} runs already, so there is nothing to go back from; nothing was touched. Mend the "
                f"settings with: bin/pulumi config set mlflowVersion {version}; or name a dump with --dump to put it "
                "back all the same"
            )


def _bring_up(stack: str, version: str) -> None:
    pulumi("config", "set", "mlflowVersion", version, "--stack", stack)
    command = [str(PROJECT / "bin" / "pulumi"), "up", "--yes", "--skip-preview", "--non-interactive", "--stack", stack]
    if subprocess.run(command, cwd=PROJECT, check=False).returncode:
        raise StackError(
            f"the data is back, but MLflow {version} did not come up. Mend it with: make up STACK={short_name(stack)}"
        )
