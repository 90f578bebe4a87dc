"""The only reader of the stack's configuration. What is wrong in it stops the program here, before anything is made."""

from __future__ import annotations

import difflib
import ipaddress
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import pulumi
from pulumi.runtime import config as runtime_config

POSTGRES_MAJORS = range(13, 19)

_USUAL_PORTS = {"mlflowPort": 5000, "postgresPort": 5432, "adminerPort": 8080}

_STACK = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_POSTGRES_VERSION = re.compile(r"([0-9]{2})(\.[0-9]+)?")
_MLFLOW_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")


def bad_setting(key: str, value: object, rule: str, example: object) -> pulumi.RunError:
    """The error for a setting that cannot be used: the value seen, the rule, the command that mends it."""
    return pulumi.RunError(f"{key} is {value!r}: {rule}. Mend it with: bin/pulumi config set {key} {example}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a stack can choose; the fields are the keys of `Pulumi.yaml`, where their meaning and defaults live.

    Raises `pulumi.RunError` on a value that cannot work.
    """

    mlflow_version: str
    mlflow_port: int
    postgres_version: str
    postgres_port: int
    postgres_database: str
    postgres_user: str
    adminer: bool
    adminer_port: int
    bind_address: str
    keep_data: bool
    postgres_image: str
    python_image: str
    debian_image: str

    @classmethod
    def load(cls, locks: Path) -> Settings:
        """Read the stack's configuration; `locks` is the folder with one lock file for each version of MLflow."""
        config = pulumi.Config()
        _refuse_unusable_stack_name(pulumi.get_stack())
        _refuse_unknown_keys(config.name)
        settings = cls(
            mlflow_version=config.require("mlflowVersion"),
            mlflow_port=config.require_int("mlflowPort"),
            postgres_version=config.require("postgresVersion"),
            postgres_port=config.require_int("postgresPort"),
            postgres_database=config.require("postgresDatabase"),
            postgres_user=config.require("postgresUser"),
            adminer=config.require_bool("adminer"),
            adminer_port=config.require_int("adminerPort"),
            bind_address=config.require("bindAddress"),
            keep_data=config.require_bool("keepData"),
            # An empty default may reach the program as no value at all.
            postgres_image=config.get("postgresImage", ""),
            python_image=config.require("pythonImage"),
            debian_image=config.require("debianImage"),
        )
        settings._check_lock(locks)
        return settings

    def __post_init__(self) -> None:
        self._check_versions()
        self._check_names()
        self._check_images()
        self._check_address()
        self._check_ports()

    @property
    def postgres_major(self) -> int:
        return int(self.postgres_version.partition(".")[0])

    @property
    def postgres_base(self) -> str:
        """The image that PostgreSQL's is built from."""
        return self.postgres_image or f"postgres:{self.postgres_version}-trixie"

    @property
    def ports(self) -> dict[str, int]:
        """The host ports that this stack opens, by the key that chose each."""
        ports = {"mlflowPort": self.mlflow_port}
        if self.postgres_port:
            ports["postgresPort"] = self.postgres_port
        if self.adminer:
            ports["adminerPort"] = self.adminer_port
        return ports

    def _check_versions(self) -> None:
        majors = f"{POSTGRES_MAJORS[0]} to {POSTGRES_MAJORS[-1]}"
        version = _POSTGRES_VERSION.fullmatch(self.postgres_version)
        if not version:
            rule = f'a version of PostgreSQL is a major from {majors}, or a release of one such as "17.6"'
            raise bad_setting("postgresVersion", self.postgres_version, rule, 17)
        if int(version[1]) not in POSTGRES_MAJORS:
            raise bad_setting("postgresVersion", self.postgres_version, f"the known majors are {majors}", 17)
        if not _MLFLOW_VERSION.fullmatch(self.mlflow_version):
            rule = "a version of MLflow is three numbers such as 3.17.2"
            raise bad_setting("mlflowVersion", self.mlflow_version, rule, "3.17.2")

    def _check_lock(self, locks: Path) -> None:
        known = sorted(path.stem for path in locks.glob("*.txt"))
        if self.mlflow_version not in known:
            rule = (
                f"no lock file for it in {locks} (there: {', '.join(known) or 'none'}); "
                f"`make lock MLFLOW={self.mlflow_version}` makes one"
            )
            raise bad_setting("mlflowVersion", self.mlflow_version, rule, known[-1] if known else "3.17.2")

    def _check_names(self) -> None:
        rule = "a name is lower-case letters, digits and _, not a digit first, 63 at most"
        for key, value in (("postgresDatabase", self.postgres_database), ("postgresUser", self.postgres_user)):
            if not _IDENTIFIER.fullmatch(value):
                raise bad_setting(key, value, rule, "mlflow")
            if value.startswith("pg_") or value in ("postgres", "template0", "template1"):
                raise bad_setting(key, value, "PostgreSQL keeps this name for itself", "mlflow")

    def _check_images(self) -> None:
        for key, value, usual in (
            ("pythonImage", self.python_image, "python:3.13-slim-trixie"),
            ("debianImage", self.debian_image, "debian:trixie-slim"),
        ):
            if not value:
                raise bad_setting(key, value, "an image has a name", usual)

    def _check_address(self) -> None:
        try:
            ipaddress.ip_address(self.bind_address)
        except ValueError:
            rule = "it must be an IP address of this machine, not a name"
            raise bad_setting("bindAddress", self.bind_address, rule, "127.0.0.1") from None

    def _check_ports(self) -> None:
        taken: dict[int, str] = {}
        for key, port in self.ports.items():
            if not 1024 <= port <= 65535:
                raise bad_setting(key, port, "a port is a number from 1024 to 65535", _USUAL_PORTS[key])
            if port in taken:
                raise bad_setting(key, port, f"{taken[port]} has that port already", free_number(port, self.ports))
            taken[port] = key


def free_number(port: int, ports: Mapping[str, int]) -> int:
    """The next port after `port` that none of `ports` is."""
    candidates = itertools.chain(range(port + 1, 65536), range(1024, port))
    return next(number for number in candidates if number not in ports.values())


def _refuse_unknown_keys(namespace: str) -> None:
    """A misspelt key would otherwise leave its default in force without a word."""
    known = [_camel(field.name) for field in fields(Settings)]
    for full_key in sorted(runtime_config.get_config_env() | runtime_config.CONFIG.get()):
        prefix, _, key = full_key.partition(":")
        if prefix == namespace and key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise pulumi.RunError(
                f"{key} is not a setting of this project; the nearest one is {nearest}. "
                f"Mend it with: bin/pulumi config rm {key}"
            )


def _refuse_unusable_stack_name(name: str) -> None:
    """The stack's name is part of every container's, volume's and image's, and Docker is stricter than Pulumi."""
    if not _STACK.fullmatch(name):
        raise pulumi.RunError(
            f"the stack's name is {name!r}: Docker wants a lower-case letter, then letters, digits and single dashes. "
            "Mend it with: bin/pulumi stack rename dev"
        )


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.title() for word in tail)
