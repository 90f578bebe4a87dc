"""The only reader of the stack's configuration. What is wrong in it stops the program here, before anything is made."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pulumi
from pulumi.runtime import config as runtime_config

from contract.names import is_stack_name, stack_name_near

from . import rules
from .rules import bad_setting
from .without_effect import without_effect


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a stack can choose; the fields are the keys of `Pulumi.yaml`, where their meaning and defaults live.

    Raises `pulumi.RunError` on values that cannot work.
    """

    mlflow_version: str
    mlflow_port: int
    mlflow_workers: int
    mlflow_memory: int
    mlflow_cpus: float
    mlflow_jobs: bool
    postgres_version: str
    postgres_port: int
    postgres_database: str
    postgres_user: str
    postgres_memory: int
    postgres_cpus: float
    postgres_settings: Mapping[str, str | int | float | bool]
    adminer: bool
    adminer_port: int
    metrics: bool
    mlflow_metrics_port: int
    postgres_metrics_port: int
    bind_address: str
    hostname: str
    allowed_hosts: Sequence[str]
    tls: str
    https_port: int
    http_port: int
    acme_email: str
    tls_certificate_file: str
    tls_key_file: str
    sign_in: bool
    i_understand_this_is_open: bool
    credentials_version: int
    gc_after_days: int
    keep_data: bool
    protect_data: bool
    postgres_image: str
    python_image: str
    debian_image: str

    @classmethod
    def load(cls, locks: Path) -> Settings:
        """Read the stack's configuration; `locks` is the folder with one lock file for each version of MLflow."""
        config = pulumi.Config()
        told = [
            *_against_stack_name(pulumi.get_stack()),
            *_against_unknown_keys(config.name),
            *_against_lock(config.require("mlflowVersion"), locks),
        ]
        try:
            settings = cls._read(config)
        except pulumi.RunError as error:
            told.append(error)
        rules.refuse(told)
        for line in without_effect(settings):
            pulumi.log.warn(line)
        return settings

    @classmethod
    def _read(cls, config: pulumi.Config) -> Settings:
        return cls(
            mlflow_version=config.require("mlflowVersion"),
            mlflow_port=config.require_int("mlflowPort"),
            mlflow_workers=config.require_int("mlflowWorkers"),
            mlflow_memory=config.require_int("mlflowMemory"),
            mlflow_cpus=config.require_float("mlflowCpus"),
            mlflow_jobs=config.require_bool("mlflowJobs"),
            postgres_version=config.require("postgresVersion"),
            postgres_port=config.require_int("postgresPort"),
            postgres_database=config.require("postgresDatabase"),
            postgres_user=config.require("postgresUser"),
            postgres_memory=config.require_int("postgresMemory"),
            postgres_cpus=config.require_float("postgresCpus"),
            postgres_settings=config.get_object("postgresSettings", {}),
            adminer=config.require_bool("adminer"),
            adminer_port=config.require_int("adminerPort"),
            metrics=config.require_bool("metrics"),
            mlflow_metrics_port=config.require_int("mlflowMetricsPort"),
            postgres_metrics_port=config.require_int("postgresMetricsPort"),
            bind_address=config.require("bindAddress"),
            # An empty default may reach the program as no value at all.
            hostname=config.get("hostname", ""),
            allowed_hosts=config.get_object("allowedHosts", []),
            tls=config.require("tls"),
            https_port=config.require_int("httpsPort"),
            http_port=config.require_int("httpPort"),
            acme_email=config.get("acmeEmail", ""),
            tls_certificate_file=config.get("tlsCertificateFile", ""),
            tls_key_file=config.get("tlsKeyFile", ""),
            sign_in=config.require_bool("signIn"),
            i_understand_this_is_open=config.require_bool("iUnderstandThisIsOpen"),
            credentials_version=config.require_int("credentialsVersion"),
            gc_after_days=config.require_int("gcAfterDays"),
            keep_data=config.require_bool("keepData"),
            protect_data=config.require_bool("protectData"),
            postgres_image=config.get("postgresImage", ""),
            python_image=config.require("pythonImage"),
            debian_image=config.require("debianImage"),
        )

    def __post_init__(self) -> None:
        rules.check(self)

    @property
    def postgres_major(self) -> int:
        return int(self.postgres_version.partition(".")[0])

    @property
    def postgres_base(self) -> str:
        """The image that PostgreSQL's is built from."""
        return self.postgres_image or f"postgres:{self.postgres_version}-trixie"

    @property
    def side_address(self) -> str:
        """Address of PostgreSQL's and Adminer's ports. They have no TLS, so a front door open to all opens them not."""
        return self.bind_address if self.i_understand_this_is_open else "127.0.0.1"

    @property
    def ports(self) -> dict[str, int]:
        """The host ports that this stack opens, by the key that chose each."""
        ports = {}
        if self.hostname:
            if self.tls != "off":
                ports["httpsPort"] = self.https_port
            if self.http_port or self.tls == "off":
                ports["httpPort"] = self.http_port
        else:
            ports["mlflowPort"] = self.mlflow_port
        if self.postgres_port:
            ports["postgresPort"] = self.postgres_port
        if self.adminer:
            ports["adminerPort"] = self.adminer_port
        if self.metrics:
            ports["mlflowMetricsPort"] = self.mlflow_metrics_port
            ports["postgresMetricsPort"] = self.postgres_metrics_port
        return ports


def _against_lock(version: str, locks: Path) -> rules.Errors:
    known = sorted((path.stem for path in locks.glob("*.txt")), key=_numbers)
    # What is no version at all, the rules refuse.
    if version not in known and rules.MLFLOW_VERSION.fullmatch(version):
        rule = (
            f"no lock file for it in {locks} (there: {', '.join(known) or 'none'}); "
            f"`make lock MLFLOW={version}` makes one"
        )
        yield bad_setting("mlflowVersion", version, rule, known[-1] if known else "3.17.2")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _against_unknown_keys(namespace: str) -> rules.Errors:
    """A misspelt key would otherwise leave its default in force without a word."""
    known = [_camel(each.name) for each in fields(Settings)]
    for full_key in sorted(runtime_config.get_config_env() | runtime_config.CONFIG.get()):
        prefix, _, key = full_key.partition(":")
        if prefix == namespace and key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            yield pulumi.RunError(
                f"{key} is not a setting of this project; the nearest one is {nearest}. "
                f"Mend it with: bin/pulumi config rm {key}"
            )


def _against_stack_name(name: str) -> rules.Errors:
    if not is_stack_name(name):
        yield pulumi.RunError(
            f"the stack's name is {name!r}: Docker wants a lower-case letter, then letters, digits and single dashes. "
            f"Mend it with: bin/pulumi stack rename {stack_name_near(name)} --stack {name}"
        )


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.title() for word in tail)
