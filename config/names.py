"""Errors about a component's arguments, said in terms of the settings that a user of this project has."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from components import DeploymentError
from contract.errors import Argument, ArgumentError, UserError, mentioning

# Any other setting has the argument's path in camelCase, without `endpoint`: postgresPort for postgres.port, httpsPort
# for endpoint.https_port.
_KEYS = {
    "allow_open_access": "iUnderstandThisIsOpen",
    "mlflow.limits.memory_mb": "mlflowMemory",
    "mlflow.limits.cpus": "mlflowCpus",
    "postgres.limits.memory_mb": "postgresMemory",
    "postgres.limits.cpus": "postgresCpus",
    "metrics.mlflow_port": "mlflowMetricsPort",
    "metrics.postgres_port": "postgresMetricsPort",
    "endpoint.certificate": "tlsCertificateFile",
    "endpoint.key": "tlsKeyFile",
}


class SettingError(UserError):
    """A setting that cannot be used. Without an accepted value its remedy is to remove the setting."""

    def __init__(
        self, code: str, key: str, value: object, *, rule: str, accepted: object = None, item: str | int | None = None
    ) -> None:
        path = _path(key, item)
        where = shlex.quote(path) if item is None else f"--path {shlex.quote(path)}"
        command = f"rm {where}" if accepted is None else f"set {where} {shlex.quote(_text(accepted))}"
        super().__init__(code, f"{path} is {value!r}", rule=rule, remedy=f"bin/pulumi config {command}")
        self.key = key


@contextmanager
def errors_name_settings() -> Iterator[None]:
    """Every `DeploymentError` from within names settings and `bin/pulumi config`, and no arguments."""
    try:
        yield
    except DeploymentError as error:
        raise DeploymentError(as_setting(each) for each in error.errors) from None


def as_setting(error: UserError) -> UserError:
    """The same error about the setting; an error that is not about an argument stays as it is."""
    if not isinstance(error, ArgumentError):
        return error
    return SettingError(
        error.code,
        key_of(error.argument),
        str(error.value) if isinstance(error.value, Enum) else error.value,
        rule=mentioning(error.rule_template, [_mention(each) for each in error.mentions]),
        accepted=error.accepted,
        item=error.item,
    )


def key_of(argument: str) -> str:
    """The setting that becomes an argument of the platform."""
    return _KEYS.get(argument) or camel_case(argument.removeprefix("endpoint.").replace(".", "_"))


def camel_case(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.title() for word in tail)


def _path(key: str, item: str | int | None) -> str:
    """A setting, or one item of it as `pulumi config --path` names it."""
    match item:
        case None:
            return key
        case int():
            return f"{key}[{item}]"
        case _ if item.isidentifier():
            return f"{key}.{item}"
        case _:
            return f'{key}["{item}"]'


def _mention(argument: Argument) -> str:
    key = key_of(argument.name)
    return key if argument.value is None else f"{key} {_text(argument.value)}"


def _text(value: object) -> str:
    """A value as `pulumi config set` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
