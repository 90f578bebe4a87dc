"""The settings of a stack, and the arguments that they become."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pulumi
from pulumi.runtime import config as runtime_config

from components import (
    Adminer,
    DeploymentError,
    Limits,
    Metrics,
    MlflowOptions,
    PlatformArgs,
    PostgresOptions,
    PublicEndpoint,
    Sidecar,
    Tls,
)
from components.services.mlflow import VERSION
from contract.errors import UserError
from contract.names import is_stack_name, stack_name_near

from .names import SettingError, as_setting, camel_case
from .pem import read_pem
from .unused import unused_settings


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a stack can choose. The fields are the keys of `Pulumi.yaml`, which explains them and has their defaults."""

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
    def read(cls, config: pulumi.Config) -> Settings:
        """Raises `pulumi.ConfigTypeError` for a value of another type."""
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


def sidecars(settings: Settings) -> list[tuple[bool, Sidecar]]:
    """The sidecars that a stack can choose, and whether this one does."""
    return [(settings.adminer, Adminer(port=settings.adminer_port))]


def load(images: Path) -> PlatformArgs:
    """The arguments that the stack's configuration becomes. `images` is the folder with a folder for each image.

    Raises `DeploymentError` with everything that is wrong with the settings. Warns of settings without effect.
    """
    config = pulumi.Config()
    settings = Settings.read(config)
    errors = [
        *_stack_name(pulumi.get_stack()),
        *_unknown_keys(config.name),
        *_mlflow_version(settings.mlflow_version, images / "mlflow" / "locks"),
        *_tls(settings),
    ]
    certificate, key = "", ""
    if settings.tls == Tls.FILES:
        try:
            certificate = read_pem("tlsCertificateFile", settings.tls_certificate_file, "CERTIFICATE")
        except SettingError as error:
            errors.append(error)
        try:
            key = read_pem("tlsKeyFile", settings.tls_key_file, "PRIVATE KEY")
        except SettingError as error:
            errors.append(error)
    try:
        args = _platform_args(settings, images, certificate, key)
    except DeploymentError as refused:
        known = {error.key for error in errors if isinstance(error, SettingError)}
        found = [as_setting(error) for error in refused.errors]
        errors += [error for error in found if not (isinstance(error, SettingError) and error.key in known)]
        raise DeploymentError(errors) from None
    if errors:
        raise DeploymentError(errors)
    for warning in unused_settings(settings, args, [sidecar for on, sidecar in sidecars(settings) if not on]):
        pulumi.log.warn(warning)
    return args


def _platform_args(settings: Settings, images: Path, certificate: str, key: str) -> PlatformArgs:
    # An unknown mode has its own error. It must not look like plain HTTP to the other rules.
    tls = Tls(settings.tls) if settings.tls in list(Tls) else Tls.INTERNAL
    endpoint = PublicEndpoint(
        hostname=settings.hostname,
        tls=tls,
        https_port=settings.https_port,
        http_port=settings.http_port,
        acme_email=settings.acme_email,
        certificate=certificate,
        # Not a setting with the key itself: Pulumi puts settings into the program's environment, secret or not.
        key=pulumi.Output.secret(key) if key else None,
    )
    return PlatformArgs(
        images=images,
        mlflow=MlflowOptions(
            version=settings.mlflow_version,
            port=settings.mlflow_port,
            workers=settings.mlflow_workers or None,
            jobs=settings.mlflow_jobs,
            limits=Limits(memory_mb=settings.mlflow_memory, cpus=settings.mlflow_cpus),
        ),
        postgres=PostgresOptions(
            version=settings.postgres_version,
            image=settings.postgres_image,
            database=settings.postgres_database,
            user=settings.postgres_user,
            port=settings.postgres_port or None,
            settings=settings.postgres_settings,
            limits=Limits(memory_mb=settings.postgres_memory, cpus=settings.postgres_cpus),
        ),
        sidecars=tuple(sidecar for on, sidecar in sidecars(settings) if on),
        python_image=settings.python_image,
        debian_image=settings.debian_image,
        bind_address=settings.bind_address,
        allow_open_access=settings.i_understand_this_is_open,
        allowed_hosts=settings.allowed_hosts or (),
        endpoint=endpoint if settings.hostname else None,
        metrics=Metrics(mlflow_port=settings.mlflow_metrics_port, postgres_port=settings.postgres_metrics_port)
        if settings.metrics
        else None,
        sign_in=settings.sign_in,
        credentials_version=settings.credentials_version,
        gc_after_days=settings.gc_after_days or None,
        keep_data=settings.keep_data,
        protect_data=settings.protect_data,
    )


def _tls(settings: Settings) -> Iterator[UserError]:
    if settings.tls not in list(Tls):
        rule = f"it is one of {', '.join(Tls)}"
        yield SettingError("tls-unknown", "tls", settings.tls, rule=rule, accepted=Tls.INTERNAL.value)
    elif settings.tls != Tls.OFF and not settings.hostname:
        yield UserError(
            "hostname-missing",
            f"tls is {settings.tls!r}",
            rule="a certificate is made out to a name, and hostname is empty",
            remedy="bin/pulumi config set hostname mlflow.example.com",
        )


def _mlflow_version(version: str, locks: Path) -> Iterator[UserError]:
    known = sorted((path.stem for path in locks.glob("*.txt")), key=_numbers)
    # What is no version at all has an error of its own.
    if version not in known and VERSION.fullmatch(version):
        rule = (
            f"no lock file for it in {locks} (there: {', '.join(known) or 'none'}); "
            f"`make lock MLFLOW={version}` makes one"
        )
        yield SettingError(
            "lock-file-missing",
            "mlflowVersion",
            version,
            rule=rule,
            accepted=known[-1] if known else MlflowOptions.version,
        )


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _unknown_keys(namespace: str) -> Iterator[UserError]:
    """Without an error, the default would silently stay in force."""
    known = [camel_case(each.name) for each in fields(Settings)]
    for full_key in sorted(runtime_config.get_config_env() | runtime_config.CONFIG.get()):
        prefix, _, key = full_key.partition(":")
        if prefix == namespace and key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            yield UserError(
                "setting-unknown",
                f"{key} is not a setting of this project",
                rule=f"the nearest one is {nearest}",
                remedy=f"bin/pulumi config rm {key}",
            )


def _stack_name(name: str) -> Iterator[UserError]:
    if not is_stack_name(name):
        yield UserError(
            "stack-name-invalid",
            f"the stack's name is {name!r}",
            rule="Docker wants a lower-case letter, then letters, digits and single dashes",
            remedy=f"bin/pulumi stack rename {stack_name_near(name)} --stack {name}",
        )
