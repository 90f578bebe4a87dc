"""bin/pulumi, without an engine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .deploy import CHECKOUT

# Says what it was told and where its state and passphrase are.
PULUMI = """#!/bin/sh
[ "$*" = "stack --show-name" ] && { echo selected; exit; }
echo "pulumi $*"
echo "backend ${PULUMI_BACKEND_URL-none}"
echo "passphrase ${PULUMI_CONFIG_PASSPHRASE_FILE-none}"
"""

# In place of mending: says what is mended, and that Pulumi works meanwhile.
RECOVER = """
from contextlib import contextmanager

@contextmanager
def recovered(runtime, stack, before, *, waits):
    print(f"mended {stack} before {before}, {'waiting' if waits else 'at once'}")
    yield 0
"""
DOCKER_RUNTIME = """\
class Runtime:
    def close(self):
        print("tried the engine")

def connect():
    return Runtime()
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with bin/pulumi, and programs in it and on PATH that only say what they were told."""
    project = tmp_path / "project"
    for path, text in {
        project / ".venv" / "bin" / "python": f'#!/bin/sh\nexec {sys.executable} "$@"\n',
        tmp_path / "path" / "pulumi": PULUMI,
    }.items():
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)
    (project / "ops").mkdir()
    for name in ("__init__", "backend", "launch"):
        shutil.copy(CHECKOUT / "ops" / f"{name}.py", project / "ops")
    (project / "ops" / "recover.py").write_text(RECOVER)
    (project / "ops" / "docker_runtime.py").write_text(DOCKER_RUNTIME)
    shutil.copytree(CHECKOUT / "contract", project / "contract")
    (project / "bin").mkdir()
    (project / "Pulumi.yaml").write_text("name: mlflow-postgres\n")
    (project / "Pulumi.dev.yaml").write_text("config: {}\n")
    shutil.copy(CHECKOUT / "bin" / "pulumi", project / "bin" / "pulumi")
    return project


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state" / "mlflow-postgres"


@pytest.fixture
def run(project: Path, tmp_path: Path) -> Run:
    """Run bin/pulumi for a user whose home is new."""

    def ran(*arguments: str, folder: Path = project, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "HOME": str(tmp_path / "home"),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "PATH": f"{project / 'bin'}:{tmp_path / 'path'}:/usr/bin:/bin",
        }
        command = [str(project / "bin" / "pulumi"), *arguments]
        return subprocess.run(
            command, cwd=folder, env=environment | variables, capture_output=True, text=True, check=False
        )

    return ran


def test_a_first_run_creates_a_private_state_and_passphrase(run: Run, state: Path) -> None:
    done = run("whoami")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "pulumi whoami",
        f"backend file://{state}",
        f"passphrase {state / 'passphrase'}",
    ]
    assert len((state / "passphrase").read_text()) > 40
    assert ((state / "passphrase").stat().st_mode & 0o777, state.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_second_run_uses_the_same_passphrase(run: Run, state: Path) -> None:
    run("whoami")
    first = (state / "passphrase").read_text()
    run("whoami")
    assert (state / "passphrase").read_text() == first


@pytest.mark.parametrize("left", [None, ""], ids=["gone", "empty"])
def test_a_lost_passphrase_is_not_replaced_while_stacks_need_it(run: Run, state: Path, left: str | None) -> None:
    stack = state / ".pulumi" / "stacks" / "mlflow-postgres" / "dev.json"
    stack.parent.mkdir(parents=True)
    stack.write_text("{}")
    if left is not None:
        (state / "passphrase").write_text(left)
    done = run("up")
    assert (done.returncode, done.stdout) == (1, ""), "with a new one, every secret in the state is lost for good"
    assert f"the passphrase {state / 'passphrase'} is gone" in done.stderr
    assert "Mend it with: make forget" in done.stderr
    assert {path.name for path in state.glob("passphrase*")} == (set() if left is None else {"passphrase"})


def test_a_users_own_state_and_passphrase_are_used(run: Run, state: Path) -> None:
    done = run("whoami", PULUMI_BACKEND_URL="s3://theirs")
    assert done.stdout.splitlines() == ["pulumi whoami", "backend s3://theirs", "passphrase none"]
    assert not state.exists()


def test_the_backend_of_a_user_who_logged_in_is_used(run: Run, state: Path, tmp_path: Path) -> None:
    credentials = tmp_path / "home" / ".pulumi" / "credentials.json"
    credentials.parent.mkdir(parents=True)
    credentials.write_text('{"current": "https://api.pulumi.com"}')
    done = run("whoami")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["pulumi whoami", "backend none", "passphrase none"]
    assert not state.exists()


@pytest.mark.parametrize("own", [False, True], ids=["our state", "a local state of theirs"])
def test_an_empty_attrs_file_does_not_block_the_state(run: Run, state: Path, tmp_path: Path, own: bool) -> None:
    stacks = (tmp_path / "home" / "theirs" if own else state) / ".pulumi" / "stacks"
    stacks.mkdir(parents=True)
    for name, text in {"dev.json": "", "dev.json.attrs": "", "it.json.attrs": '{"md5": ""}'}.items():
        (stacks / name).write_text(text)
    theirs = {"PULUMI_BACKEND_URL": "file://~/theirs?create_dir=true"} if own else {}
    done = run("stack", PULUMI_CONFIG_PASSPHRASE="theirs", **theirs)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in stacks.iterdir()} == {"dev.json", "it.json.attrs"}


@pytest.mark.parametrize("passphrase", ["theirs", ""], ids=["set", "set and empty"])
def test_a_users_own_passphrase_is_used_for_our_state(run: Run, state: Path, passphrase: str) -> None:
    done = run("whoami", PULUMI_CONFIG_PASSPHRASE=passphrase)
    assert done.stdout.splitlines() == ["pulumi whoami", f"backend file://{state}", "passphrase none"]
    assert not (state / "passphrase").exists()


@pytest.mark.parametrize(
    ("command", "first"),
    [
        ("up", "mended selected before up, waiting"),
        ("up --yes --stack it", "mended it before up, waiting"),
        ("--color never up --stack it", "mended it before up, waiting"),
        ("update --stack=it", "mended it before update, waiting"),
        ("destroy -s it", "mended it before destroy, at once"),
        ("refresh", "mended selected before refresh, waiting"),
        ("preview", "tried the engine"),
    ],
)
def test_commands_that_change_a_stack_recover_it_first(run: Run, command: str, first: str) -> None:
    done = run(*command.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == [first, f"pulumi {command}"]


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("stack select --create My_Team", "my-team"),
        ("stack select -c --stack organization/project/Team-1-", "team-1"),
        ("stack init 42", "stack-42"),
        ("stack init __", "stack"),
    ],
)
def test_a_stack_with_an_invalid_name_is_not_created(run: Run, command: str, name: str) -> None:
    done = run(*command.split())
    assert (done.returncode, done.stdout) == (1, "")
    assert "Docker wants a lower-case letter, then letters, digits and single dashes; nothing was made." in done.stderr
    assert done.stderr.endswith(f"Mend it with: make up STACK={name}\n")
    assert run("stack", "init", name).returncode == 0


def test_an_existing_stack_can_be_selected_with_any_name(run: Run) -> None:
    assert run("stack", "select", "My_Team").returncode == 0, "to be renamed, or removed"


def test_no_gnu_extension_is_needed(run: Run, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("env", "bash", "sh", "dirname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = run("whoami", PATH=f"{tmp_path / 'path'}:{tools}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["stack", "config", "up --help"])
def test_commands_that_only_read_recover_nothing(run: Run, command: str) -> None:
    assert run(*command.split()).stdout.startswith(f"pulumi {command}\n")


def test_commands_for_another_program_recover_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: another\n")
    assert run("up", folder=tmp_path).stdout.startswith("pulumi up\n")


def test_a_checkout_without_a_stack_file_works(run: Run, project: Path) -> None:
    (project / "Pulumi.dev.yaml").unlink()
    assert run("whoami").stdout.startswith("pulumi whoami\n")


@pytest.mark.parametrize(
    ("text", "known", "stays"),
    [
        ("encryptionsalt: v1:one=:two=\n", False, False),
        ("encryptionsalt: v1:one=:two=\n", True, True),
        ("config:\n  a:b:\n    secure: v1:three\nencryptionsalt: v1:one=:two=\n", False, True),
    ],
    ids=["of another machine", "of this one", "with a secret that needs it"],
)
def test_a_committed_salt_is_removed_unless_it_is_needed(
    run: Run, project: Path, state: Path, text: str, known: bool, stays: bool
) -> None:
    run("whoami")
    (project / "Pulumi.dev.yaml").write_text(text)
    if known:
        (state / ".pulumi" / "stacks").mkdir(parents=True)
        (state / ".pulumi" / "stacks" / "dev.json").write_text('{"salt": "v1:one=:two="}')
    assert run("whoami").returncode == 0
    left = (project / "Pulumi.dev.yaml").read_text()
    assert ("encryptionsalt" in left) is stays, "with another's salt our passphrase is called incorrect"


def test_a_missing_virtualenv_is_reported_with_the_remedy(run: Run, project: Path) -> None:
    shutil.rmtree(project / ".venv")
    done = run("up")
    assert (done.returncode, done.stderr) == (1, "bin/pulumi: there is no virtualenv yet. Mend it with: make setup\n")


def test_a_missing_pulumi_is_reported_with_the_remedy(run: Run, tmp_path: Path) -> None:
    (tmp_path / "path" / "pulumi").unlink()
    done = run("up")
    assert (done.returncode, done.stderr) == (1, "bin/pulumi: there is no Pulumi yet. Mend it with: make setup\n")
