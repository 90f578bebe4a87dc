"""A stack that the doctor looks at, and the ways to break it and to look again."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ops.doctor.subject import Subject, subject_of

from .harness import ROOT, Deployment


def certificate(stack: Deployment, days: int) -> None:
    """A certificate that is good for some days, in the files that the stack's settings name."""
    file, key = stack.room / "certificate.pem", stack.room / "key.pem"
    order = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", str(days), "-subj", "/CN=localhost"]
    more = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(file)]
    subprocess.run([*order, *more], check=True, capture_output=True)
    stack.configure(tlsCertificateFile=str(file), tlsKeyFile=str(key))


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


def unwell(stack: Deployment) -> dict[str, str]:
    """The state of what is neither ok nor left out."""
    return {name: each["state"] for name, each in checks(stack).items() if each["state"] not in ("ok", "skipped")}


def wait_until_well(stack: Deployment) -> None:
    """Look until there is nothing to complain of; a look takes seconds by itself."""
    deadline = time.monotonic() + 90
    while (found := unwell(stack)) and time.monotonic() < deadline:
        pass
    assert found == {}, [each for each in checks(stack).values() if each["state"] != "ok"]


def mended(stack: Deployment, name: str) -> None:
    """Do what the line of a check says, as it says it."""
    subprocess.run(checks(stack)[name]["mend"], shell=True, check=True, capture_output=True)
    wait_until_well(stack)


def sql(stack: Deployment, statement: str, database: str = "mlflow") -> str:
    """A statement of the superuser's."""
    return stack.execute("postgres", "psql", "-U", "postgres", "-d", database, "-Atqc", statement).strip()


def archive_by(stack: Deployment, program: str) -> None:
    sql(stack, f"ALTER SYSTEM SET archive_command = '{program}'")
    sql(stack, "SELECT pg_reload_conf()")


@contextmanager
def undone(stack: Deployment, statement: str, back: str) -> Iterator[None]:
    """A statement that is taken back, from another database, for this one may be closed."""
    sql(stack, statement, "postgres")
    try:
        yield
    finally:
        sql(stack, back, "postgres")


def subject(stack: Deployment, **changed: str) -> Subject:
    """The stack as a check gets it, with some outputs changed, and without an administrator."""
    outputs = stack.outputs()
    kept = {name: outputs[name] for name in ("mlflow_version", "tracking_url", "postgres_database")}
    return subject_of(stack.engine, stack.name, kept | changed)
