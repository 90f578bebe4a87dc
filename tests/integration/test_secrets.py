"""A secret never shows: not in what the engine tells, not in a process, not in the state, not in what is printed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from docker import DockerClient

from components.engine import LABEL

from .harness import Deployment, deployment
from .leaks import engine_shows, hits, process_list, state_files, watched_processes


class Case:
    """A stack that went through an up, a preview and an up that failed, with the process list of all that time."""

    def __init__(self, stack: Deployment) -> None:
        self.stack = stack
        with watched_processes() as self.processes:
            stack.up()
            stack.preview("--json")
            stack.preview("--diff")
            self.fail_an_up()
        self.secrets = {
            "password": str(stack.outputs()["postgres_password"]),
            "passphrase": (stack.state / "passphrase").read_text().strip(),
        }

    def fail_an_up(self) -> None:
        """Somebody's container has the name of the one to be made: an error in the middle of an up."""
        squatter = self.stack.engine.containers.create(
            self.stack.image("postgres"), name=f"{self.stack.prefix}-adminer"
        )
        try:
            self.stack.configure(adminer=True)
            assert "adminer" in self.stack.up(fails=True)
        finally:
            squatter.remove(force=True, v=True)
            self.stack.configure(adminer=None)


@pytest.fixture(scope="module")
def case(engine: DockerClient) -> Iterator[Case]:
    with deployment(engine) as stack:
        yield Case(stack)


@pytest.mark.parametrize("secret", ["password", "passphrase"])
def test_a_secret_is_nowhere_to_be_seen(case: Case, secret: str) -> None:
    value = case.secrets[secret]
    printed = {"printed": case.stack.printed}
    assert not hits(value, engine_shows(case.stack), process_list(), case.processes, state_files(case.stack), printed)


def test_the_search_looked_at_everything(case: Case) -> None:
    """What a search does not read, it cannot find: each place must hold something that is known to be there."""
    shown = engine_shows(case.stack)
    assert {place.rpartition(" ")[0] for place in shown} == {
        *("docker inspect", "docker logs", "docker top", "docker history")
    }
    assert hits("MLFLOW_POSTGRES_PASSWORD_FILE", shown) >= {f"docker inspect {case.stack.prefix}-postgres"}
    assert any("mlflow server" in text.replace("\0", " ") for text in case.processes.values())
    assert any(place.endswith(f"{case.stack.name}.json") for place in state_files(case.stack))
    assert hits("docker:index/container:Container", {"printed": case.stack.printed})


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
        labels={f"{LABEL}.stack": case.stack.prefix, "planted": planted},
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


@pytest.mark.parametrize(("role", "path", "owner"), [
    ("postgres", "/run/secrets/postgres-password", "postgres"),
    ("mlflow", "/run/secrets/pgpass", "nobody"),
])  # fmt: skip
def test_a_secret_file_is_for_its_reader_alone(case: Case, role: str, path: str, owner: str) -> None:
    assert case.stack.execute(role, "stat", "--format", "%a %U", path).strip() == f"400 {owner}"


def test_the_passphrase_file_is_for_its_owner_alone(case: Case) -> None:
    assert (case.stack.state / "passphrase").stat().st_mode & 0o777 == 0o600
    assert not hits(case.secrets["passphrase"], {"checkout": _all_text(case.stack)})


def _all_text(stack: Deployment) -> str:
    files = (path for path in stack.project.rglob("*") if path.is_file() and ".venv" not in path.parts)
    return "\n".join(path.read_text(errors="replace") for path in files)
