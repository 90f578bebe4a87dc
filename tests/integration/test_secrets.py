"""A secret never shows: not in what the engine tells, not in a process, not in the state, not in what is printed."""

from __future__ import annotations

import base64
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from contract.labels import ROLE, STACK

from .harness import Deployment, deployment
from .leaks import engine_shows, hits, process_list, state_files, watched_processes
from .limits import REQUEST, STOP
from .servers import put_file

SECRETS = {
    "owner's password": ("postgres", "/run/secrets/owner-password"),
    "server's password": ("postgres", "/run/secrets/server-password"),
    "reader's password": ("postgres", "/run/secrets/readonly-password"),
    "watcher's password": ("exporter", "/run/secrets/monitor-password"),
    "administrator's password": ("mlflow", "/run/secrets/admin-password"),
    "key of the sign-in": ("mlflow", "/run/secrets/secret-key"),
    "passphrase of the gateway's keys": ("mlflow", "/keys/kek-2"),
    "token of this start": ("mlflow", "/home/mlflow/.gateway-token"),
    "key of the certificate": ("gateway", "/run/secrets/key.pem"),
}
"""Where each is read by the service that it is for."""
OTHERS = ["passphrase of the state", "what a client sends"]


class Case:
    """A stack that went through two failed ups, one that succeeded, previews and a request: processes of all of it."""

    def __init__(self, stack: Deployment) -> None:
        self.stack = stack
        stack.configure(hostname="localhost", tls="files", signIn=True, adminer=True, gcAfterDays=30, metrics=True)
        self.make_certificate()
        with watched_processes() as self.processes:
            self.fail_a_job()
            self.fail_a_courier()
            stack.up()
            stack.preview("--json")
            stack.preview("--diff")
            outputs = stack.outputs()
            self.sent = base64.b64encode(f"{outputs['admin_username']}:{outputs['admin_password']}".encode()).decode()
            self.send(outputs["tracking_url"])
        self.secrets = {name: _words(stack.execute(role, "cat", path)) for name, (role, path) in SECRETS.items()}
        self.secrets |= {"passphrase of the state": _words((stack.state / "passphrase").read_text())}
        self.secrets |= {"what a client sends": [self.sent]}

    def make_certificate(self) -> None:
        self.certificate, key = self.stack.room / "certificate.pem", self.stack.room / "key.pem"
        order = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        more = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(self.certificate)]
        subprocess.run([*order, *more], check=True, capture_output=True)
        self.stack.configure(tlsCertificateFile=str(self.certificate), tlsKeyFile=str(key))

    def fail_a_job(self) -> None:
        """The volume of keys holds one of a later version: an up that ends with the job's last words."""
        stack = self.stack
        name = f"{stack.prefix}-keys"
        stack.engine.volumes.create(name, labels={STACK: stack.prefix, ROLE: "keys"})
        base = stack.engine.images.get("python:3.13-slim-trixie")
        carrier = stack.engine.containers.create(
            base, ["rm", "/keys/kek-9"], volumes={name: {"bind": "/keys"}}, network_mode="none"
        )
        try:
            put_file(carrier, "keys/kek-9", "of-a-later-version")
            printed = stack.up(fails=True)
            assert "schema ended with exit code 64" in printed
            assert "Mend it with: bin/pulumi config set credentialsVersion 8" in printed
            carrier.start()
            carrier.wait(timeout=STOP)
        finally:
            carrier.remove(force=True, v=True)

    def fail_a_courier(self) -> None:
        """Somebody's container has the name of one that is handed secrets: an error in the middle of an up."""
        stack = self.stack
        stack.container("mlflow-courier").remove(v=True)
        squatter = stack.engine.containers.create(stack.image("postgres"), name=f"{stack.prefix}-mlflow-courier")
        try:
            assert "mlflow-courier" in stack.up(fails=True)
        finally:
            squatter.remove(force=True, v=True)

    def send(self, url: str) -> None:
        """One request of the administrator's."""
        trust = ssl.create_default_context(cafile=str(self.certificate))
        request = urllib.request.Request(f"{url}/api/2.0/mlflow/experiments/search?max_results=1")
        request.add_header("Authorization", f"Basic {self.sent}")
        with urllib.request.urlopen(request, timeout=REQUEST, context=trust) as answer:
            assert answer.status == 200


def _words(content: str) -> list[str]:
    """What must not be seen of a file: each of its lines, but for what frames a key."""
    return [line for line in content.split("\n") if line and not line.startswith("-----")]


@pytest.fixture(scope="module")
def case(engine: DockerClient) -> Iterator[Case]:
    # With jobs, MLflow hands a token of its own to each of its processes: one more secret to be found nowhere.
    with deployment(engine, mlflowJobs=True) as stack:
        yield Case(stack)


@pytest.mark.parametrize("secret", [*SECRETS, *OTHERS])
def test_a_secret_is_nowhere_to_be_seen(case: Case, secret: str) -> None:
    printed = {"printed": case.stack.printed, "checkout": _all_text(case.stack)}
    everywhere = engine_shows(case.stack) | process_list() | case.processes | state_files(case.stack) | printed
    # The last line of a key may be short; found by accident, it would prove nothing.
    words = [word for word in case.secrets[secret] if len(word) >= 16]
    assert words
    for word in words:
        shown = hits(word, everywhere)
        assert not shown


def test_the_search_looked_at_everything(case: Case) -> None:
    """What a search does not read, it cannot find: each place must hold something that is known to be there."""
    shown = engine_shows(case.stack)
    assert {place.rpartition(" ")[0] for place in shown} == {
        *("docker inspect", "docker logs", "docker top", "docker history")
    }
    couriers = [name for name in case.stack.objects()["containers"] if name.endswith("-courier")]
    assert len(couriers) == 6
    assert hits("mlflow-postgres.kind", shown) >= {f"docker inspect {name}" for name in couriers}
    assert hits("made the administrator", shown) == {f"docker logs {case.stack.prefix}-schema"}
    assert any("mlflow server" in text.replace("\0", " ") for text in case.processes.values())
    state = {place for place in state_files(case.stack) if place.endswith(f"{case.stack.name}.json")}
    assert state & hits("made the administrator", state_files(case.stack)), "the job's words are in the state"
    assert hits("docker:index/container:Container", {"printed": case.stack.printed})
    assert hits("mlflow-postgres:tlsKeyFile", {"checkout": _all_text(case.stack)})


def test_the_watch_sees_a_process_that_was_short() -> None:
    planted = "planted-in-a-process-0123"
    with watched_processes() as seen:
        subprocess.run(["sleep", "1"], env={"PLANTED": planted}, check=True)
    assert hits(planted, seen)


def test_the_search_finds_a_secret_that_was_planted(case: Case) -> None:
    """In an argument, an environment, a label and a log of a container of the stack."""
    planted = "planted-0123456789abcdef"
    container = case.stack.engine.containers.run(
        case.stack.image("postgres"),
        entrypoint=["sh", "-c", f"echo {planted}; sleep 60 # {planted}"],
        environment={"PLANTED": planted},
        labels={STACK: case.stack.prefix, "planted": planted},
        name=f"{case.stack.prefix}-planted",
        network_mode="none",
        detach=True,
    )
    try:
        places = {place.partition(container.name or "")[0].strip() for place in hits(planted, engine_shows(case.stack))}
        assert places == {"docker inspect", "docker logs", "docker top"}
        assert {place.rpartition(" ")[2] for place in hits(planted, process_list())} == {"cmdline", "environ"}
    finally:
        container.remove(force=True, v=True)


@pytest.mark.parametrize("secret", [name for name in SECRETS if name != "token of this start"])
def test_a_secret_file_is_for_its_reader_alone(case: Case, secret: str) -> None:
    role, path = SECRETS[secret]
    user = {"postgres": 999, "mlflow": 65534, "gateway": 65534, "exporter": 65534}[role]
    assert case.stack.execute(role, "stat", "--format", "%a %u %g", path).strip() == f"400 {user} {user}"


def test_no_other_secret_is_in_a_container_than_those_that_it_reads(case: Case) -> None:
    roles = ("postgres", "gateway", "exporter")
    found = {role: set(case.stack.execute(role, "ls", "/run/secrets").split()) for role in roles}
    assert found["postgres"] == {"owner-password", "server-password", "readonly-password", "monitor-password"}
    assert found["exporter"] == {"monitor-password"}
    assert found["gateway"] == {"Caddyfile", "certificate.pem", "key.pem"}
    here = set(case.stack.execute("mlflow", "ls", "/run/secrets").split())
    assert here == {"admin-password", "basic-auth.ini", "pgpass", "secret-key"}
    (owner,) = case.secrets["owner's password"]
    assert owner not in case.stack.execute("mlflow", "cat", "/run/secrets/pgpass", "/run/secrets/basic-auth.ini")


def test_the_passphrase_file_is_for_its_owner_alone(case: Case) -> None:
    assert (case.stack.state / "passphrase").stat().st_mode & 0o777 == 0o600


def test_secrets_of_what_is_switched_off_are_on_the_engine_no_more(case: Case) -> None:
    """Each volume that the stack has then is looked into."""
    stack = case.stack
    gone = {"key.pem", "certificate.pem", "admin-password", "basic-auth.ini", "secret-key", "monitor-password"}
    assert _secret_files(stack) >= gone
    stack.configure(hostname=None, tls=None, tlsCertificateFile=None, tlsKeyFile=None, signIn=None, metrics=None)
    stack.configure(mlflowJobs=None)
    stack.up()
    stack.preview_unchanged()
    kept = {"owner-password", "server-password", "readonly-password", "pgpass"}
    assert _secret_files(stack) == kept
    assert stack.ask(), "who goes on has what it reads"


def _secret_files(stack: Deployment) -> set[str]:
    """Names of the files in all volumes of secrets."""
    volumes = [name for name in stack.objects()["volumes"] if "-secrets" in name]
    assert volumes
    listing = stack.engine.containers.run(
        stack.image("postgres"),
        entrypoint=["find", "/look", "-type", "f", "-printf", "%f\n"],
        volumes={name: {"bind": f"/look/{name}", "mode": "ro"} for name in volumes},
        user="0",
        network_mode="none",
        remove=True,
    )
    return set(listing.decode().split())


def _all_text(stack: Deployment) -> str:
    files: Iterator[Path] = (
        path
        for path in stack.project.rglob("*")
        if path.is_file() and ".venv" not in path.relative_to(stack.project).parts
    )
    return "\n".join(path.read_text(errors="replace") for path in files)
