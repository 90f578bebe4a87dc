"""What a setting may be. Every refusal says the value seen, the rule, and the command that mends it."""

from __future__ import annotations

import ipaddress
import itertools
import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pulumi

from .database.tuning import REFUSED

if TYPE_CHECKING:
    from .settings import Settings

Errors = Iterator[pulumi.RunError]
"""What speaks against settings: at most one for each, with one remedy."""

POSTGRES_MAJORS = range(13, 19)
WORKERS = range(2, 33)
"""How many worker processes MLflow's server may have."""
TLS = ("off", "internal", "files", "acme")

USUAL_PORTS = {
    **{"mlflowPort": 5000, "postgresPort": 5432, "adminerPort": 8080, "httpsPort": 443, "httpPort": 80},
    **{"mlflowMetricsPort": 9464, "postgresMetricsPort": 9187},
}
# Those that the world knows by number; a container of ours needs no privilege for them.
_FRONT_DOOR = ("httpsPort", "httpPort")

# The owner's and the reader's roles are named after it: `_readonly` must fit into PostgreSQL's 63 characters.
_LONGEST_USER = 54

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_POSTGRES_SETTING = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*")
_POSTGRES_VERSION = re.compile(r"([0-9]{2})(\.[0-9]+)?")
_OFFICIAL_IMAGE = re.compile(r"postgres:([0-9.]+)-trixie@")
MLFLOW_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_HOST_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(r"[^\s@{}\"`#]+@[^\s@{}\"`#]+\.[^\s@{}\"`#]+")
_HOSTNAME = re.compile(rf"{_HOST_LABEL}(\.{_HOST_LABEL})*")

# What answers beside Flask, such as /v1/traces, is behind the sign-in since then; read in 3.17.2's and 3.6.0's code.
_SIGN_IN_SINCE = (3, 17, 0)

# Below these, in MiB, the service is killed while it starts or under its first load.
_LEAST_POSTGRES_MEMORY = 512
_LEAST_MLFLOW_MEMORY = 2048


def bad_setting(key: str, value: object, rule: str, example: object) -> pulumi.RunError:
    """The error for a setting that cannot be used: the value seen, the rule, the command that mends it."""
    return pulumi.RunError(f"{key} is {value!r}: {rule}. Mend it with: bin/pulumi config set {key} {example}")


def check(settings: Settings) -> None:
    """Raise `pulumi.RunError` for the settings that cannot work, alone or beside the others: one line for each."""
    refuse(
        [
            *_against_versions(settings),
            *_against_names(settings),
            *_against_images(settings),
            *_against_sizes(settings),
            *_against_postgres_settings(settings.postgres_settings),
            *_against_gateway(settings),
            *_against_files(settings),
            *_against_hosts(settings),
            *_against_address(settings),
            *_against_ports(settings.ports),
        ]
    )


def refuse(errors: Sequence[pulumi.RunError]) -> None:
    """Raise what several errors say as one, each on a line of its own; nothing if there are none."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise pulumi.RunError("\n".join(dict.fromkeys(str(error) for error in errors)))


def free_number(port: int, ports: Mapping[str, int]) -> int:
    """The next port after `port` that none of `ports` is."""
    candidates = itertools.chain(range(port + 1, 65536), range(1024, port))
    return next(number for number in candidates if number not in ports.values())


def _against_versions(settings: Settings) -> Errors:
    majors = f"{POSTGRES_MAJORS[0]} to {POSTGRES_MAJORS[-1]}"
    version = _POSTGRES_VERSION.fullmatch(settings.postgres_version)
    if not version:
        rule = f'a version of PostgreSQL is a major from {majors}, or a release of one such as "17.6"'
        yield bad_setting("postgresVersion", settings.postgres_version, rule, 17)
    elif int(version[1]) not in POSTGRES_MAJORS:
        yield bad_setting("postgresVersion", settings.postgres_version, f"the known majors are {majors}", 17)
    official = _OFFICIAL_IMAGE.match(settings.postgres_image)
    if official and official[1] != settings.postgres_version:
        yield pulumi.RunError(
            f"postgresImage is {settings.postgres_image!r}, and postgresVersion {settings.postgres_version!r}: "
            "a pinned image is of the version that was pinned. "
            "Mend it with: bin/pulumi config rm postgresImage, and make pin to pin the other one"
        )
    if not MLFLOW_VERSION.fullmatch(settings.mlflow_version):
        rule = "a version of MLflow is three numbers such as 3.17.2"
        yield bad_setting("mlflowVersion", settings.mlflow_version, rule, "3.17.2")
    elif settings.sign_in and tuple(int(part) for part in settings.mlflow_version.split(".")) < _SIGN_IN_SINCE:
        rule = "with signIn it must be 3.17.0 or newer, for older ones ask nobody on some of their addresses"
        yield bad_setting("mlflowVersion", settings.mlflow_version, rule, "3.17.2")


def _against_names(settings: Settings) -> Errors:
    for key, value in (("postgresDatabase", settings.postgres_database), ("postgresUser", settings.postgres_user)):
        if not _IDENTIFIER.fullmatch(value):
            rule = "a name is lower-case letters, digits and _, not a digit first, 63 at most"
            yield bad_setting(key, value, rule, "mlflow")
        elif value.startswith("pg_") or value in ("postgres", "template0", "template1"):
            yield bad_setting(key, value, "PostgreSQL keeps this name for itself", "mlflow")
        elif key == "postgresUser" and len(value) > _LONGEST_USER:
            rule = f"the names of two more roles are made of it, so it may have {_LONGEST_USER} characters"
            yield bad_setting(key, value, rule, "mlflow")


def _against_images(settings: Settings) -> Errors:
    for key, value, usual in (
        ("pythonImage", settings.python_image, "python:3.13-slim-trixie"),
        ("debianImage", settings.debian_image, "debian:trixie-slim"),
    ):
        if not value:
            yield bad_setting(key, value, "an image has a name", usual)


def _against_sizes(settings: Settings) -> Errors:
    if settings.mlflow_workers and settings.mlflow_workers not in WORKERS:
        rule = (
            f"the server has {WORKERS[0]} to {WORKERS[-1]} workers, for one is made anew while the others work; "
            "0 is as many as mlflowCpus feeds"
        )
        yield bad_setting("mlflowWorkers", settings.mlflow_workers, rule, 0)
    if settings.credentials_version < 1:
        rule = "it is a number from 1 that only rises; each rise makes every generated secret anew"
        yield bad_setting("credentialsVersion", settings.credentials_version, rule, 1)
    if settings.gc_after_days < 0:
        rule = "it is a number of days in which what was deleted can still be restored, or 0 for ever"
        yield bad_setting("gcAfterDays", settings.gc_after_days, rule, 30)
    for key, memory, least, usual in (
        ("postgresMemory", settings.postgres_memory, _LEAST_POSTGRES_MEMORY, 2048),
        ("mlflowMemory", settings.mlflow_memory, _LEAST_MLFLOW_MEMORY, 4096),
    ):
        if memory < least:
            yield bad_setting(key, memory, f"it is a number of MiB, {least} at least", usual)
    for key, cpus in (("postgresCpus", settings.postgres_cpus), ("mlflowCpus", settings.mlflow_cpus)):
        if not 0 <= cpus < math.inf:
            yield bad_setting(key, cpus, "it is a number of processors, or 0 for all of them", 0)


def _against_postgres_settings(chosen: object) -> Errors:
    if not isinstance(chosen, Mapping):
        yield pulumi.RunError(
            f"postgresSettings is {chosen!r}: it is names and their values. "
            "Mend it with: bin/pulumi config rm postgresSettings"
        )
        return
    for name, value in chosen.items():
        if rule := _rule_of_postgres(name, value):
            # What is no plain word, such as a name with a point, would otherwise be a path of several.
            path = f'postgresSettings["{name}"]' if not name.isidentifier() else f"postgresSettings.{name}"
            yield pulumi.RunError(
                f"{path} is {value!r}: {rule}. Mend it with: bin/pulumi config rm --path {shlex.quote(path)}"
            )


def _rule_of_postgres(name: str, value: object) -> str | None:
    if not _POSTGRES_SETTING.fullmatch(name):
        return "the name of a setting is lower-case letters, digits and _; an extension's has a point in it"
    if name in REFUSED:
        return REFUSED[name]
    if not isinstance(value, str | int | float):
        return (
            "a value is text, a number, true or false; a name with a point is set by --path 'postgresSettings[\"a.b\"]'"
        )
    if isinstance(value, str) and ("\n" in value or "\0" in value):
        return "a value is one line of text"
    return None


def _against_gateway(settings: Settings) -> Errors:
    host, tls = settings.hostname, settings.tls
    if tls not in TLS:
        yield bad_setting("tls", tls, f"it is one of {', '.join(TLS)}", "internal")
    if host and not (_HOSTNAME.fullmatch(host) and len(host) <= 253):
        rule = "it is a name in lower case such as mlflow.example.com, without scheme, port and path"
        yield bad_setting("hostname", host, rule, "mlflow.example.com")
    elif tls == "acme" and host and "." not in host:
        yield bad_setting("hostname", host, "tls acme needs a name that the internet knows", "mlflow.example.com")
    if tls in TLS and tls != "off" and not host:
        yield pulumi.RunError(
            f"tls is {tls!r}: a certificate is made out to a name, and hostname is empty. "
            "Mend it with: bin/pulumi config set hostname mlflow.example.com"
        )
    if settings.acme_email and not _EMAIL.fullmatch(settings.acme_email):
        yield bad_setting("acmeEmail", settings.acme_email, "it is an address that mail is sent to", "ops@example.com")


def _against_files(settings: Settings) -> Errors:
    if settings.tls != "files":
        return
    for key, path, kind in (
        ("tlsCertificateFile", settings.tls_certificate_file, "CERTIFICATE"),
        ("tlsKeyFile", settings.tls_key_file, "PRIVATE KEY"),
    ):
        try:
            read_pem(key, path, kind)
        except pulumi.RunError as error:
            yield error


def _against_hosts(settings: Settings) -> Errors:
    if isinstance(settings.allowed_hosts, str) or not isinstance(settings.allowed_hosts, Sequence):
        yield pulumi.RunError(
            f"allowedHosts is {settings.allowed_hosts!r}: it is a list of names. "
            "Mend it with: bin/pulumi config rm allowedHosts"
        )
        return
    for number, host in enumerate(settings.allowed_hosts):
        name = isinstance(host, str) and bool(_HOSTNAME.fullmatch(host)) and len(host) <= 253
        if settings.hostname and settings.tls == "acme" and not (name and "." in host and not _is_address(host)):
            rule = "tls acme needs a name that the internet knows"
        elif not name and not _is_address(host):
            rule = "it is a name in lower case such as mlflow.lan, or an address, without scheme, port and path"
        else:
            continue
        path = f"allowedHosts[{number}]"
        yield pulumi.RunError(
            f"{path} is {host!r}: {rule}. Mend it with: bin/pulumi config set --path '{path}' mlflow.example.com"
        )


def _is_address(host: object) -> bool:
    try:
        return isinstance(host, str) and bool(ipaddress.ip_address(host))
    except ValueError:
        return False


def read_pem(key: str, path: str, kind: str) -> str:
    """The text of the file that a setting names. Raises `pulumi.RunError` if it does not hold PEM of that kind."""
    example = {"CERTIFICATE": "/etc/ssl/fullchain.pem", "PRIVATE KEY": "/etc/ssl/privkey.pem"}[kind]
    if not path:
        raise bad_setting(key, path, "tls files needs it: the path of a file in PEM", example)
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise bad_setting(key, path, f"the file cannot be read ({reason})", example) from None
    if f"{kind}-----" not in text:
        raise bad_setting(key, path, f"the file holds no {kind} in PEM", example)
    return text


def _against_address(settings: Settings) -> Errors:
    if not _is_address(settings.bind_address):
        rule = "it must be an IP address of this machine, not a name"
        yield bad_setting("bindAddress", settings.bind_address, rule, "127.0.0.1")
        return
    address = ipaddress.ip_address(settings.bind_address)
    closed = settings.sign_in and settings.tls != "off"
    if not (address.is_loopback or closed or settings.i_understand_this_is_open):
        missing = " and ".join(
            name for name, there in (("signIn true", settings.sign_in), ("tls", settings.tls != "off")) if not there
        )
        rule = (
            f"beyond loopback everybody who reaches it reads and writes the runs: it needs {missing}, or "
            "iUnderstandThisIsOpen true"
        )
        yield bad_setting("bindAddress", settings.bind_address, rule, "127.0.0.1")


def _against_ports(ports: Mapping[str, int]) -> Errors:
    taken: dict[int, str] = {}
    # Of two that clash with a third one, each is to get a number of its own.
    numbers = dict(ports)
    for key, port in ports.items():
        first = 1 if key in _FRONT_DOOR else 1024
        if not first <= port <= 65535:
            yield bad_setting(key, port, f"a port is a number from {first} to 65535", USUAL_PORTS[key])
        elif port in taken:
            numbers[f"{key} instead"] = free_number(port, numbers)
            yield bad_setting(key, port, f"{taken[port]} has that port already", numbers[f"{key} instead"])
        else:
            taken[port] = key
