"""Run the doctor on a stack, and break and repair what it checks."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ops.docker_runtime import DockerRuntime
from ops.doctor.subject import Subject, subject_of

from .harness import ROOT, Deployment, wait_for
from .limits import CONDITION

_AUTHORITY = """
[ca]
default_ca = tests
[tests]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = names
copy_extensions = copy
[names]
commonName = supplied
"""


def certificate(stack: Deployment, days: int) -> None:
    """A certificate that ends in some days, or has ended, in the files that the stack's settings name."""
    file, key = stack.certificate, stack.folder / "key.pem"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "ca.cnf").write_text(_AUTHORITY)
        Path(folder, "index").touch()
        order = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-out", "asked"]
        _openssl(folder, *order, "-addext", "subjectAltName=DNS:localhost,DNS:mlflow.test", "-keyout", str(key))
        now = datetime.now(UTC)
        begin, end = (f"{now + timedelta(days=each):%Y%m%d%H%M%SZ}" for each in (-30, days))
        order = ["openssl", "ca", "-selfsign", "-batch", "-create_serial", "-config", "ca.cnf", "-in", "asked"]
        _openssl(folder, *order, "-keyfile", str(key), "-startdate", begin, "-enddate", end, "-out", str(file))
    stack.configure(tlsCertificateFile=str(file), tlsKeyFile=str(key))


def _openssl(folder: str, *order: str) -> None:
    subprocess.run(order, cwd=folder, check=True, capture_output=True)


def doctor(
    stack: Deployment, *options: str, name: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, on the stack or on one of another name."""
    return subprocess.run(
        [ROOT / ".venv" / "bin" / "python", "-m", "ops", "doctor", *options, "--stack", name or stack.name],
        cwd=stack.project,
        env={**stack.environment, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def checks(stack: Deployment, name: str | None = None) -> dict[str, dict[str, str]]:
    """What the doctor finds, by the check's name."""
    done = doctor(stack, "--json", name=name)
    assert done.stderr == ""
    said = json.loads(done.stdout)
    assert done.returncode == {"ok": 0, "warning": 1, "broken": 2}[said["worst"]]
    return {each["name"]: each for each in said["checks"]}


def problems(stack: Deployment) -> dict[str, str]:
    """The state of each check that is neither ok nor skipped."""
    return _problems(checks(stack))


def _problems(found: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: each["state"] for name, each in found.items() if each["state"] not in ("ok", "skipped")}


def wait_until_healthy(stack: Deployment) -> None:
    expect_problems(stack, {})


def expect_problems(stack: Deployment, expected: dict[str, str]) -> dict[str, dict[str, str]]:
    """Run the doctor until it finds these problems alone, and return its checks.

    On a busy machine a check may run into its own timeout, so one run does not decide.
    """
    deadline = time.monotonic() + CONDITION
    while _problems(found := checks(stack)) != expected and time.monotonic() < deadline:
        pass
    assert _problems(found) == expected, [each for each in found.values() if each["state"] != "ok"]
    return found


def run_remedy(stack: Deployment, check: dict[str, str]) -> None:
    """Run the command that a check's line names, and wait until the stack is healthy."""
    subprocess.run(check["mend"], shell=True, check=True, capture_output=True)
    wait_until_healthy(stack)


def sql(stack: Deployment, statement: str, database: str = "mlflow") -> str:
    """Run a statement as the superuser and return its output."""
    return stack.execute("postgres", "psql", "-U", "postgres", "-d", database, "-Atqc", statement).strip()


USED = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"


def occupy_connections(stack: Deployment, wanted: int) -> None:
    """Open sessions until this many are in use."""
    more = wanted - int(sql(stack, USED)) + 1
    open_many = f"for n in $(seq {more}); do (sleep 600 | psql -U postgres -d mlflow >/dev/null 2>&1) & done; wait"
    stack.container("postgres").exec_run(["sh", "-c", open_many], detach=True)
    # Who counts is one of them.
    wait_for(lambda: int(sql(stack, USED)) > wanted, f"{wanted} sessions")


def archive_by(stack: Deployment, program: str) -> None:
    sql(stack, f"ALTER SYSTEM SET archive_command = '{program}'")
    sql(stack, "SELECT pg_reload_conf()")


@contextmanager
def reverted(stack: Deployment, statement: str, back: str) -> Iterator[None]:
    """Run a statement, and afterwards the one that reverts it, from another database: the first may close this one."""
    sql(stack, statement, "postgres")
    try:
        yield
    finally:
        sql(stack, back, "postgres")


def subject_with(stack: Deployment, **changed: str) -> Subject:
    """The stack as a check gets it, with some outputs changed, and without an administrator."""
    outputs = stack.outputs()
    kept = {name: outputs[name] for name in ("mlflow_version", "tracking_url", "postgres_database")}
    return subject_of(DockerRuntime(stack.engine), stack.name, kept | changed)
