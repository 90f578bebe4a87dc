"""A stack on the real engine with a folder, state, name and ports of its own. Nothing of it stays behind."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import psycopg
import yaml
from docker.errors import APIError
from docker.models.containers import Container

from contract.labels import STACK
from ops import stack_lock
from ops.docker_runtime import DockerRuntime

from .limits import CONDITION, REQUEST

ROOT = Path(__file__).resolve().parents[2]

NOTHING: dict[str, set[str]] = {"containers": set(), "networks": set(), "images": set(), "volumes": set()}
"""`Deployment.objects` of a stack that is not on the engine."""


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on, from below those that the system gives to outgoing connections."""
    found: list[int] = []
    for port in random.sample(range(10_000, 20_000), 1_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                found.append(port)
        if len(found) == count:
            return found
    raise AssertionError(f"fewer than {count} of a thousand ports are free")


def clone(target: Path) -> Path:
    """A copy of the project as it is in the working tree, with a link to this checkout's virtualenv."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout
    for name in files.decode().rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    (target / ".venv").symlink_to(ROOT / ".venv")
    return target


class Deployment:
    """A copy of the project in a folder of its own, with one stack of a unique name."""

    def __init__(self, folder: Path, engine: docker.DockerClient) -> None:
        self.folder = folder
        self.engine = engine
        self.name = f"it-{uuid.uuid4().hex[:8]}"
        self.prefix = f"mlflow-postgres-{self.name}"
        self.project = clone(folder / "project")
        self.state = folder / "state" / "mlflow-postgres"
        self.printed = ""
        """Everything that the project's commands have printed in this deployment."""
        self.certificate = folder / "certificate.pem"
        """The file that the gateway is given with `tls: files`."""
        self.kept = False
        """Whether it stays on the engine after the tests, with its folder, because one of them failed."""
        self._first_rows = ""
        self._outputs: dict[str, Any] = {}
        self._outputs_of: tuple[int, int] | None = None
        declared = yaml.safe_load((self.project / "Pulumi.yaml").read_text())["config"]
        keys = [key for key in declared if key.endswith("Port")]
        self.settings: dict[str, Any] = {
            **dict(zip(keys, free_ports(len(keys)), strict=True)),
            # Several stacks are up at the same time, and each worker takes 600 MiB.
            "mlflowWorkers": 2,
        }
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")},
            "XDG_STATE_HOME": str(folder / "state"),
            # A developer who is signed in to a backend of their own must not meet a test's stack there.
            "PULUMI_CREDENTIALS_PATH": str(folder / "credentials"),
        }
        self.configure()
        self.pulumi("stack", "init", self.name)

    def configure(self, **settings: Any) -> None:
        """Set, or with None unset, settings of the stack, as an edit of its file does."""
        self.settings |= settings
        chosen = {f"mlflow-postgres:{key}": value for key, value in self.settings.items() if value is not None}
        path = self.project / f"Pulumi.{self.name}.yaml"
        document = (yaml.safe_load(path.read_text()) if path.exists() else None) or {}
        path.write_text(yaml.safe_dump({**document, "config": chosen}))

    def start(self, *arguments: str, folder: Path | None = None) -> subprocess.Popen[str]:
        """Start `bin/pulumi` and return at once."""
        return subprocess.Popen(
            [self.project / "bin" / "pulumi", *arguments, "--non-interactive"],
            cwd=folder or self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def pulumi(self, *arguments: str, fails: bool = False, folder: Path | None = None) -> str:
        """Run `bin/pulumi` to its end and return what it printed; a test fails if it ends otherwise than expected."""
        with self.start(*arguments, folder=folder) as process:
            printed = process.communicate()[0]
        self.printed += printed
        assert bool(process.returncode) == fails, f"pulumi {' '.join(arguments)} ended {process.returncode}:\n{printed}"
        return printed

    def up(self, fails: bool = False) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", "--stack", self.name, fails=fails)

    def destroy(self) -> str:
        return self.pulumi("destroy", "--yes", "--skip-preview", "--stack", self.name)

    def preview(self, *arguments: str, fails: bool = False) -> str:
        return self.pulumi("preview", *arguments, "--stack", self.name, fails=fails)

    def preview_unchanged(self) -> None:
        """The plan of a stack that is up has nothing to do."""
        self.preview("--expect-no-changes", "--diff")

    def ops(self, *arguments: str, typed: str = "") -> str:
        """Run one of our own commands, with something typed into it."""
        done = subprocess.run(
            [ROOT / ".venv" / "bin" / "python", "-m", "ops", *arguments, "--stack", self.name],
            cwd=self.project,
            env=self.environment,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )
        self.printed += done.stdout + done.stderr
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets included. What this prints is not kept among what the commands printed.

        They are in the state: Pulumi is asked again only when its file is another one.
        """
        state = self._state_file()
        if state is None or state != self._outputs_of:
            with self.start("stack", "output", "--json", "--show-secrets", "--stack", self.name) as process:
                self._outputs = json.loads(process.communicate()[0])
            self._outputs_of = state
        return dict(self._outputs)

    def _state_file(self) -> tuple[int, int] | None:
        """What changes with every write of the state; None before the first one."""
        files = list((self.state / ".pulumi" / "stacks").rglob(f"{self.name}.json"))
        found = files[0].stat() if files else None
        return (found.st_ino, found.st_mtime_ns) if found else None

    def answers(self) -> bool:
        """Whether the server answers from the database at once: one request, and no second try."""
        try:
            return self.ask(10)
        except OSError:
            return False

    def ask(self, seconds: int = REQUEST) -> bool:
        """One request that reads the database. Raises what went wrong; True, so that it can be asserted."""
        url = f"{self._address()}/api/2.0/mlflow/experiments/search?max_results=1"
        # Whose certificate it is, is not the question here.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with urllib.request.urlopen(url, timeout=seconds, context=context) as answer:
            return bool(json.load(answer)["experiments"])

    def _address(self) -> str:
        if hostname := self.settings.get("hostname"):
            return f"https://{hostname}:{self.settings['httpsPort']}"
        return f"http://127.0.0.1:{self.settings['mlflowPort']}"

    def database(self, password: str | None = None) -> psycopg.Connection:
        """A session of the server's role through the published port, with the stack's own password or another one."""
        outputs = self.outputs()
        return psycopg.connect(
            host=outputs["postgres_host"],
            port=outputs["postgres_port"],
            dbname=outputs["postgres_database"],
            user=outputs["postgres_user"],
            password=password or outputs["postgres_password"],
        )

    def used_the_application(self) -> bool:
        """Whether one of its connections has just created a run. One that is idle still shows its last statement."""
        # MLflow's own statement has the location as a value.
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE query LIKE '%artifact_location ||%' AND pid <> pg_backend_pid()"
        )
        return self.execute("postgres", "psql", "-U", "postgres", "-d", "mlflow", "-qAtc", query).strip() != "0"

    def container(self, role: str) -> Container:
        return self.engine.containers.get(f"{self.prefix}-{role}")

    def image(self, role: str) -> str:
        """Id of the image that a container of the stack was made from."""
        return str(self.container(role).attrs["Image"])

    def execute(self, role: str, *command: str) -> str:
        """Run a command inside a container and return what it prints; a test fails if the command does."""
        code, printed = self.container(role).exec_run(list(command), stream=False)
        assert isinstance(printed, bytes)
        assert code == 0, printed.decode()
        return printed.decode()

    def objects(self) -> dict[str, set[str]]:
        """Names of what the engine has of this stack, by kind."""
        mine = self._labelled()
        return {
            "containers": {str(each.name) for each in self._containers()},
            "networks": {str(each.name) for each in self.engine.networks.list(filters=mine)},
            "volumes": {str(each.name) for each in self.engine.volumes.list(filters=mine)},
            "images": {tag for tag in image_tags(self.engine) if tag.startswith(f"{self.prefix}/")},
        }

    def mounted_volumes(self) -> set[str]:
        """Names of the volumes that the stack's containers have, those that the engine made up included."""
        mounts = [mount for each in self._containers() for mount in each.attrs["Mounts"]]
        return {mount["Name"] for mount in mounts if mount["Type"] == "volume"}

    def remember_rows(self) -> None:
        """Remember the rows of all tables, for `restore_rows`."""
        command = "pg_dump -U postgres --schema=public --exclude-table=alembic* --data-only --inserts mlflow"
        dumped = self.execute("postgres", *command.split())
        # What begins with a backslash is for psql alone.
        self._first_rows = "\n".join(line for line in dumped.splitlines() if not line.startswith("\\"))

    def restore_rows(self) -> None:
        """Put back the remembered rows, and remove all artifacts and all reports of imports."""
        empty = (
            "DO $$ BEGIN EXECUTE (SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ')"
            " || ' RESTART IDENTITY CASCADE' FROM pg_tables"
            " WHERE schemaname = 'public' AND tablename NOT LIKE 'alembic%'); END $$"
        )
        psql = ("psql", "-U", "postgres", "-d", "mlflow", "-q", "-v", "ON_ERROR_STOP=1", "-1", "-c")
        self.execute("postgres", *psql, f"SET session_replication_role = replica; {empty}; {self._first_rows}")
        self.execute("mlflow", "find", "/mlartifacts", "-mindepth", "1", "-delete")
        self.run_once(
            "postgres",
            "find",
            "/backups",
            "-name",
            "import-*.json",
            "-delete",
            volumes={f"{self.prefix}-backups": "/backups"},
        )

    def run_once(self, role: str, program: str, *arguments: str, volumes: Mapping[str, str]) -> str:
        """What a program prints, run once by root in a container of a role's image, with volumes of the stack."""
        container = self.engine.containers.create(
            self.image(role),
            list(arguments),
            entrypoint=[program],
            user="0",
            network_mode="none",
            volumes={name: {"bind": place} for name, place in volumes.items()},
        )
        try:
            container.start()
            status = container.wait()["StatusCode"]
            printed: str = container.logs().decode()
            assert status == 0, printed
            return printed
        finally:
            # With the volumes that the image declares and nobody named.
            container.remove(force=True, v=True)

    def commands(self) -> str:
        """The commands that look at a stack that was kept, and those that remove it."""
        mine = f"--filter label={STACK}={self.prefix}"
        settings = " ".join(f"{key}={self.environment[key]}" for key in ("XDG_STATE_HOME", "PULUMI_CREDENTIALS_PATH"))
        here = f"cd {self.project} && {settings}"
        each = "xargs --no-run-if-empty docker"
        lines = [
            "# Look at it:",
            f"docker ps --all {mine}",
            f"{here} bin/pulumi stack --stack {self.name}",
            f"{here} .venv/bin/python -m ops doctor --stack {self.name}",
            f"{here} .venv/bin/python -m ops logs --stack {self.name}",
            "# Remove it:",
            f"docker ps --all --quiet {mine} | {each} rm --force --volumes",
            f"docker network ls --quiet {mine} | {each} network rm",
            f"docker volume ls --quiet {mine} | {each} volume rm --force",
            # By their names: another stack may have the same image under another one.
            f"docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' '{self.prefix}/*' | {each} rmi",
            f"rm -r {self.folder}",
        ]
        return "\n".join(lines)

    def remove(self) -> None:
        """Remove everything that the engine has of this stack, in whatever state a test left it."""
        wait_for(self._remove_all, f"the end of everything of {self.prefix}")
        for file in stack_lock.FOLDER.glob(f"{self.prefix}-*.turn"):
            file.unlink()

    def _remove_all(self) -> bool:
        """Whether all of it is gone. The engine may still be creating what a killed run asked for."""
        mine = self._labelled()
        try:
            for container in self._containers():
                # Volumes without a name go with it.
                container.remove(force=True, v=True)
            runtime = DockerRuntime(self.engine)
            for network in runtime.networks(self.prefix):
                runtime.remove_network(network)
            for volume in self.engine.volumes.list(filters=mine):
                volume.remove(force=True)
            for tag in self.objects()["images"]:
                self.engine.images.remove(tag)
        except APIError:
            return False
        return not any(self.objects().values())

    def _containers(self) -> list[Container]:
        return self.engine.containers.list(all=True, filters=self._labelled(), ignore_removed=True)

    def _labelled(self) -> dict[str, str | list[str] | bool]:
        return {"label": f"{STACK}={self.prefix}"}


@contextmanager
def deployment(engine: docker.DockerClient, **settings: Any) -> Iterator[Deployment]:
    """A deployment that is not up yet. Everything of it is removed afterwards, unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="mlflow-postgres-it-"))
    made = Deployment(folder, engine)
    try:
        made.configure(**settings)
        yield made
    finally:
        if not made.kept:
            made.remove()
            shutil.rmtree(folder)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = CONDITION) -> None:
    """Wait until a condition holds; fails the test, naming it, when that takes too long."""
    pause = threading.Event()
    for _ in range(int(seconds * 20)):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")


def workers(stack: Deployment) -> set[int]:
    """Process ids, on the host, of the processes that serve requests: forked, and not the one they are forked from."""
    listing = stack.container("mlflow").top(ps_args="-eo pid,ppid,args")["Processes"]
    forked = {pid: parent for pid, parent, command in listing if "multiprocessing.forkserver" in command}
    return {int(pid) for pid, parent in forked.items() if parent in forked}


def running(engine: docker.DockerClient) -> list[Container]:
    """The containers of the whole engine that run. One that somebody else removes in the meantime is left out."""
    return engine.containers.list(ignore_removed=True)


def image_tags(engine: docker.DockerClient) -> list[str]:
    """Tags of all images. `images.list` inspects each one, and fails when somebody else removes it in the meantime."""
    return [str(tag) for image in engine.api.images() for tag in image["RepoTags"] or ()]


Moment = Callable[[Deployment], bool]


def kill(stack: Deployment, moment: Moment, *command: str) -> None:
    """Start a command of Pulumi's, and end it with SIGKILL when a moment has come."""
    with stack.start(*command, "--yes", "--skip-preview", "--stack", stack.name) as process:
        wait_for(lambda: moment(stack) or process.poll() is not None, moment.__name__)
        assert process.poll() is None, f"it ended before {moment.__name__}: {process.communicate()[0]}"
        process.kill()
