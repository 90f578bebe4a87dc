"""Installs and starts a Docker engine, if none is running."""

from __future__ import annotations

import enum
import grp
import http.client
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain import debian
from toolchain.engine_api import LOCAL_SOCKET, ApiError, Engine
from toolchain.processes import run
from toolchain.progress import Failure, say, step

ENGINE_LOG = Path("/var/log/dockerd.log")
PID_FILE = Path("/var/run/docker.pid")
CONTAINERD_PID_FILE = Path("/var/run/docker/containerd/containerd.pid")
START_SECONDS = 60.0
MANUAL = "install Docker Engine for your system, start it, then run this again"


class Answer(enum.Enum):
    """Whether an engine answers."""

    YES = "yes"
    NO = "no"
    FORBIDDEN = "forbidden"
    UNKNOWN = "unknown"  # an address that we cannot connect to; we assume that the engine runs


class Plan(enum.Enum):
    """What to do about the engine."""

    NOTHING = "nothing"
    START = "start"
    INSTALL = "install"


@dataclass(frozen=True)
class Situation:
    """Everything that the decision depends on."""

    docker_host: str | None
    answer: Answer
    has_dockerd: bool
    is_root: bool
    is_debian: bool
    socket_group: str = "docker"


def decide(situation: Situation) -> Plan:
    """Decide what to do about the engine. Raises Failure if only the user can do it."""
    if situation.answer in (Answer.YES, Answer.UNKNOWN):
        return Plan.NOTHING
    if situation.answer is Answer.FORBIDDEN:
        group = situation.socket_group
        raise Failure(
            "engine-socket-closed",
            f"the engine's socket {situation.docker_host or LOCAL_SOCKET} is open to the group {group} only",
            f'sudo usermod -aG {group} "$USER", log out and in, then run this again',
        )
    if situation.docker_host:
        raise Failure(
            "engine-not-running",
            f"no engine answers at DOCKER_HOST={situation.docker_host}",
            "start that engine, or unset DOCKER_HOST to use the one of this machine",
        )
    if not situation.is_root:
        start = f"sudo systemctl start docker, or {MANUAL}"
        install = "sudo apt-get install --no-install-recommends docker.io, then run this again"
        mend = start if situation.has_dockerd else install if situation.is_debian else MANUAL
        raise Failure("engine-needs-root", "there is no running Docker engine, and only root may supply one", mend)
    if situation.has_dockerd:
        return Plan.START
    if not situation.is_debian:
        raise Failure(
            "engine-not-debian",
            f"there is no Docker engine, and this is not Debian {' or '.join(debian.SUPPORTED)}",
            MANUAL,
        )
    return Plan.INSTALL


def ensure_engine(environment: Mapping[str, str] = os.environ) -> Engine:
    """Return a running engine. Installs and starts one if necessary. Raises Failure."""
    docker_host = environment.get("DOCKER_HOST") or None
    engine = Engine(docker_host or f"unix://{LOCAL_SOCKET}")
    answer = ask(engine)
    if answer is Answer.YES:
        return engine
    plan = decide(
        Situation(
            docker_host=docker_host,
            answer=answer,
            has_dockerd=find_dockerd() is not None,
            is_root=debian.is_root(),
            is_debian=debian.is_supported_debian(),
            socket_group=group_of(engine),
        )
    )
    if plan is Plan.INSTALL:
        debian.install(debian.engine_packages(), "a Docker engine")
    if plan is not Plan.NOTHING and ask(engine) is not Answer.YES:
        with step("starting the Docker engine"):
            start(engine)
    return engine


def ask(engine: Engine) -> Answer:
    """Whether an engine answers."""
    if not engine.reachable_here:
        return Answer.UNKNOWN
    try:
        engine.ping()
    except PermissionError:
        return Answer.FORBIDDEN
    except (OSError, http.client.HTTPException, ApiError):
        return Answer.NO
    return Answer.YES


def group_of(engine: Engine) -> str:
    """The group that may use the engine's socket."""
    try:
        return grp.getgrgid(Path(engine.address.removeprefix("unix://")).stat().st_gid).gr_name
    except (OSError, KeyError):
        return "docker"


def start(engine: Engine) -> None:
    """Start the installed engine, which outlives this run, and wait until it answers. Raises Failure."""
    if Path("/run/systemd/system").is_dir():
        run(["systemctl", "start", "docker"], "systemctl start docker", "systemctl status docker says why")
        _wait_for(engine, None)
        return
    pid = live_pid(PID_FILE, "dockerd")
    if pid is None:
        # After a SIGKILL these files remain. If their process id now belongs to another process or a zombie, a new
        # engine takes it for a running one. It then refuses to start, or waits for its containerd for ever.
        PID_FILE.unlink(missing_ok=True)
        if live_pid(CONTAINERD_PID_FILE, "containerd") is None:
            CONTAINERD_PID_FILE.unlink(missing_ok=True)
        _wait_for(engine, _start_detached())
    else:
        say(f"dockerd runs (process {pid}) but does not answer yet; waiting for it")
        _wait_for(engine, None)


def live_pid(pid_file: Path, program: str, processes: Path = Path("/proc")) -> int | None:
    """The process id in a pid file, if that process runs the program. None if the file is stale or missing."""
    try:
        pid = int(pid_file.read_text())
        state = (processes / str(pid) / "stat").read_text()
    except (OSError, ValueError):
        return None
    name, _, rest = state.partition("(")[2].rpartition(")")
    return pid if name == program and rest.split()[0] != "Z" else None


def find_dockerd() -> str | None:
    """The path of dockerd. Also looks into sbin folders, which are often not on PATH."""
    return shutil.which("dockerd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


def _start_detached() -> subprocess.Popen[bytes]:
    dockerd = find_dockerd()
    if dockerd is None:
        raise Failure(
            "dockerd-missing", "dockerd is not there although its package is", "apt-get install --reinstall docker.io"
        )
    with ENGINE_LOG.open("ab") as log:
        return subprocess.Popen(
            [dockerd],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            # A session of its own, so that Ctrl-C in `make` does not stop the engine and the database.
            start_new_session=True,
        )


def _wait_for(engine: Engine, process: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while ask(engine) is not Answer.YES:
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > deadline:
            how = "dockerd ended" if ended else f"no answer on {LOCAL_SOCKET} within {START_SECONDS:.0f} s"
            raise Failure(
                "dockerd-not-started",
                f"starting the Docker engine: {how}",
                f"read {ENGINE_LOG}, then run this again",
                _log_end(),
            )
        time.sleep(0.1)


def _log_end() -> str:
    try:
        return "\n".join(ENGINE_LOG.read_text(errors="replace").splitlines()[-8:])
    except OSError:
        return ""
