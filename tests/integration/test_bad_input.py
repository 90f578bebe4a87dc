"""Bad input stops with one message, before anything is touched, and the next `up` works."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from docker import DockerClient

from preflight.engine import EngineError, open_engine

from .harness import Deployment


@pytest.fixture(autouse=True)
def untouched(stack: Deployment) -> Iterator[None]:
    """Whatever the message, the stack is as it was: the very same containers, networks, volumes and images."""
    before, settings = _everything(stack), dict(stack.settings)
    assert before["containers"] > {f"{stack.prefix}-{role}" for role in ("postgres", "schema", "mlflow", "adminer")}
    yield
    stack.settings = settings
    stack.configure()
    assert _everything(stack) == before


def _everything(stack: Deployment) -> dict[str, Any]:
    objects = stack.objects()
    containers = [stack.engine.containers.get(name) for name in sorted(objects["containers"])]
    return {**objects, "ids": [(each.id, each.attrs["State"]["StartedAt"]) for each in containers]}


def refuse(stack: Deployment, *words: str, mend: str) -> None:
    """A preview ends with an error, which contains these words and the command that mends it."""
    _says(stack.preview(fails=True), (words, mend))


def _says(printed: str, *errors: tuple[Sequence[str], str]) -> None:
    """Each error is a line among the diagnostics: its words, and the command that mends it."""
    assert "Traceback" not in printed, printed
    for words, mend in errors:
        lines = [line for line in printed.splitlines() if words[0] in line]
        assert lines, printed
        for word in words:
            assert word in lines[-1]
        assert re.search(rf"[Mm]end it [^.]*{mend}", lines[-1]), lines[-1]


def test_bad_settings_end_an_up(stack: Deployment) -> None:
    """All of them at once, each with its command. The other rules are in tests/unit/test_settings*.py."""
    stack.configure(mlflowPort=80, postgresVersion="12", mlflowprot=1)
    _says(
        stack.up(fails=True),
        (["mlflowPort is 80", "from 1024 to 65535"], "bin/pulumi config set mlflowPort 5000"),
        (["postgresVersion is '12'"], "bin/pulumi config set postgresVersion 17"),
        (["mlflowprot is not a setting"], "bin/pulumi config rm mlflowprot"),
    )


def test_an_address_that_this_machine_does_not_have_is_refused(stack: Deployment) -> None:
    stack.configure(bindAddress="198.51.100.1", mlflowPort=25000, iUnderstandThisIsOpen=True)
    words = ("bindAddress is '198.51.100.1'", "no interface")
    refuse(stack, *words, mend="bin/pulumi config set bindAddress 127.0.0.1")


def test_images_that_nobody_has_are_refused(stack: Deployment) -> None:
    stack.configure(pythonImage="No Image", debianImage="debian:0.0-none")
    _says(
        stack.preview(fails=True),
        (["the image No Image cannot be found", "mlflow is built from it"], "bin/pulumi config set pythonImage"),
        (["the image debian:0.0-none cannot be found", "adminer is built"], "bin/pulumi config set debianImage"),
    )


def test_what_this_engine_does_not_have_to_give_is_refused(stack: Deployment, engine: DockerClient) -> None:
    """Processors, a version of the credentials that is gone, and what another container has: a port and a volume."""
    volumes = {f"{stack.prefix}-postgres-data": {"bind": "/data"}}
    with _container(stack, engine, ports={"1234/tcp": ("127.0.0.1", 0)}, volumes=volumes) as other:
        port = int(other.ports["1234/tcp"][0]["HostPort"])
        stack.configure(mlflowCpus="1000", credentialsVersion=1, mlflowPort=port)
        _says(
            stack.preview(fails=True),
            (["mlflowCpus is 1000.0", "the Docker engine has"], "bin/pulumi config set mlflowCpus"),
            (["credentialsVersion is 1", "and was 2 already"], "bin/pulumi config set credentialsVersion 2"),
            ([f"mlflowPort is {port}", f"the container {other.name} has"], "bin/pulumi config set mlflowPort"),
            ([f"is used by the container {other.name}"], f"docker stop {other.name}"),
        )


@contextmanager
def _container(stack: Deployment, engine: DockerClient, **options: Any) -> Iterator[Any]:
    other = engine.containers.run(stack.image("postgres"), entrypoint=["sleep", "600"], detach=True, **options)
    try:
        other.reload()
        yield other
    finally:
        other.remove(force=True, v=True)


def test_a_volume_of_another_major_and_the_command_that_mends_it(stack: Deployment) -> None:
    """The very words of the message are given to a shell in the project's folder."""
    path = stack.project / f"Pulumi.{stack.name}.yaml"
    before = path.read_text()
    stack.configure(postgresVersion="16")
    printed = stack.preview(fails=True)
    words = ["postgresVersion is '16'", f"{stack.prefix}-postgres-data holds a cluster of PostgreSQL 17"]
    _says(printed, ([*words, "nothing was touched"], "bin/pulumi config set postgresVersion 17"))
    command = re.search(r"Mend it with: (bin/pulumi config set postgresVersion 17)", printed)
    assert command, printed
    subprocess.run(command[1], shell=True, cwd=stack.project, env=stack.environment, check=True)
    stack.preview_unchanged()
    path.write_text(before)


def test_a_port_that_is_no_number(stack: Deployment) -> None:
    """Pulumi itself knows the type, from Pulumi.yaml."""
    stack.configure(mlflowPort="many")
    assert "'mlflowPort' must be of type 'integer'" in stack.preview(fails=True)


def test_ports_that_another_program_has_end_a_preview_and_an_up(stack: Deployment) -> None:
    """MLflow's own port ends an up; the gateway's, which stands before it, a preview."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        stack.configure(mlflowPort=port)
        words = (f"mlflowPort is {port}", "another program listens there")
        _says(stack.up(fails=True), (words, "bin/pulumi config set mlflowPort"))
        stack.configure(hostname="localhost", tls="internal", httpsPort=port)
        refuse(stack, f"httpsPort is {port}", "another program listens there", mend="bin/pulumi config set httpsPort")


def test_no_engine(stack: Deployment) -> None:
    stack.environment["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    try:
        refuse(stack, "no Docker engine answers at unix:///nowhere/docker.sock", mend="make engine")
    finally:
        del stack.environment["DOCKER_HOST"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_an_engine_whose_socket_is_closed_to_the_user() -> None:
    os.setresuid(65534, 65534, 0)
    try:
        with pytest.raises(EngineError, match=r"is closed to this user.*Mend it with: sudo usermod -aG docker"):
            open_engine()
    finally:
        os.setresuid(0, 0, 0)


def test_a_lost_passphrase(stack: Deployment) -> None:
    passphrase = stack.state / "passphrase"
    aside = passphrase.rename(stack.folder / "passphrase")
    try:
        refuse(stack, f"the passphrase {passphrase} is gone", mend="make forget")
        assert not passphrase.exists(), "a new passphrase would make the loss final"
    finally:
        aside.rename(passphrase)


def test_a_wrong_passphrase(stack: Deployment) -> None:
    passphrase = stack.state / "passphrase"
    right = passphrase.read_text()
    passphrase.write_text("not this one\n")
    try:
        assert "incorrect passphrase" in stack.up(fails=True)
    finally:
        passphrase.write_text(right)


def test_a_setting_that_postgresql_does_not_take_and_after_all_the_next_up_works(stack: Deployment) -> None:
    """A server with it is tried beside the one in use, and says itself what is wrong."""
    stack.configure(postgresSettings={"work_mem": "lots"})
    printed = stack.up(fails=True)
    words = ['invalid value for parameter "work_mem": "lots"', "no server was touched"]
    _says(printed, (words, "bin/pulumi config rm --path 'postgresSettings.NAME'"))
    assert stack.ask(), "the server in use answers all the while"
    stack.configure(postgresSettings=None)
    # It takes the container of the trial away.
    stack.up()
    stack.preview_unchanged()
