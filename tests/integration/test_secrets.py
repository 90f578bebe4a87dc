"""A secret never shows: not in what the engine tells, not in a process, not in the state, not in what is printed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.labels import STACK

from .everything import EverythingOn
from .harness import Deployment
from .secret_search import engine_shows, places_with, process_list, state_files, watched_processes

SECRETS = {
    "owner's password": ("postgres", "/run/secrets/owner-password"),
    "server's password": ("postgres", "/run/secrets/server-password"),
    "reader's password": ("postgres", "/run/secrets/readonly-password"),
    "watcher's password": ("exporter", "/run/secrets/monitor-password"),
    "administrator's password": ("mlflow", "/run/secrets/admin-password"),
    "key of the sign-in": ("mlflow", "/run/secrets/secret-key"),
    "passphrase of the gateway's keys": ("mlflow", "/keys/current/passphrase"),
    "token of this start": ("mlflow", "/home/mlflow/.gateway-token"),
    "key of the certificate": ("gateway", "/run/secrets/key.pem"),
}
"""Where each is read by the service that it is for."""
LAST_WORDS = "MLflow 3.17.2: schema "
"""What the schema job always says."""
OTHERS = ["passphrase of the state", "what a client sends"]


class Case:
    """The stack with everything on and jobs, the processes of its starts, previews and requests, and its secrets."""

    def __init__(self, everything_on: EverythingOn) -> None:
        self.stack = stack = everything_on.stack
        # With jobs, MLflow gives each of its processes a token: one more secret that must not show.
        stack.configure(mlflowJobs=True)
        with watched_processes() as processes:
            stack.up()
            stack.preview("--json")
            stack.preview("--diff")
            everything_on.send()
        self.processes = everything_on.processes | {f"{place}, later": text for place, text in processes.items()}
        self.secrets = {name: _words(stack.execute(role, "cat", path)) for name, (role, path) in SECRETS.items()}
        self.secrets["passphrase of the state"] = _words((stack.state / "passphrase").read_text())
        self.secrets["what a client sends"] = [everything_on.authorization.removeprefix("Basic ")]


def _words(content: str) -> list[str]:
    """What must not be seen of a file: each of its lines, but for what frames a key."""
    return [line for line in content.split("\n") if line and not line.startswith("-----")]


@pytest.fixture(scope="module")
def case(everything_on: EverythingOn) -> Case:
    return Case(everything_on)


@pytest.mark.parametrize("secret", [*SECRETS, *OTHERS])
def test_a_secret_is_nowhere_to_be_seen(case: Case, secret: str) -> None:
    printed = {"printed": case.stack.printed, "checkout": _all_text(case.stack)}
    everywhere = engine_shows(case.stack) | process_list() | case.processes | state_files(case.stack) | printed
    # The last line of a key may be short; found by accident, it would prove nothing.
    words = [word for word in case.secrets[secret] if len(word) >= 16]
    assert words
    for word in words:
        shown = places_with(word, everywhere)
        assert not shown


def test_the_search_looked_at_everything(case: Case) -> None:
    """What a search does not read, it cannot find: each place must hold something that is known to be there."""
    shown = engine_shows(case.stack)
    assert {place.rpartition(" ")[0] for place in shown} == {
        *("docker inspect", "docker logs", "docker top", "docker history")
    }
    couriers = [name for name in case.stack.objects()["containers"] if name.endswith("-courier")]
    assert len(couriers) == 6
    assert places_with("mlflow-postgres.kind", shown) >= {f"docker inspect {name}" for name in couriers}
    assert places_with(LAST_WORDS, shown) == {f"docker logs {case.stack.prefix}-schema"}
    assert any("mlflow server" in text.replace("\0", " ") for text in case.processes.values())
    state = {place for place in state_files(case.stack) if place.endswith(f"{case.stack.name}.json")}
    assert state & places_with(LAST_WORDS, state_files(case.stack)), "the job's words are in the state"
    assert places_with("docker:index/container:Container", {"printed": case.stack.printed})
    assert places_with("mlflow-postgres:tlsKeyFile", {"checkout": _all_text(case.stack)})


def test_the_watch_sees_a_process_that_was_short() -> None:
    planted = "planted-in-a-process-0123"
    with watched_processes() as seen:
        subprocess.run(["sleep", "1"], env={"PLANTED": planted}, check=True)
    assert places_with(planted, seen)


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
        places = {
            place.partition(container.name or "")[0].strip() for place in places_with(planted, engine_shows(case.stack))
        }
        assert places == {"docker inspect", "docker logs", "docker top"}
        assert {place.rpartition(" ")[2] for place in places_with(planted, process_list())} == {"cmdline", "environ"}
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
    places = {name: f"/look/{name}" for name in volumes}
    return set(stack.run_once("postgres", "find", "/look", "-type", "f", "-printf", "%f\n", volumes=places).split())


def _all_text(stack: Deployment) -> str:
    files: Iterator[Path] = (
        path
        for path in stack.project.rglob("*")
        if path.is_file() and ".venv" not in path.relative_to(stack.project).parts
    )
    return "\n".join(path.read_text(errors="replace") for path in files)
