"""The rules for a platform's arguments. They hold for every caller, whatever program it is."""

from __future__ import annotations

import ipaddress
import itertools
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from contract.errors import Argument, ArgumentError

from . import defaults
from .database.tuning import REFUSED
from .endpoint import PublicEndpoint, Tls
from .services.mlflow import WORKERS

if TYPE_CHECKING:
    from .platform import PlatformArgs

Errors = Iterator[ArgumentError]

POSTGRES_MAJORS = range(13, 19)

# Clients expect HTTPS and HTTP on ports below 1024. The gateway's container needs no privilege for them.
_LOW_PORTS = ("endpoint.https_port", "endpoint.http_port")
_USUAL_PORTS = {
    "mlflow_port": defaults.MLFLOW_PORT,
    "postgres_port": defaults.POSTGRES_PORT,
    "adminer_port": defaults.ADMINER_PORT,
    "endpoint.https_port": defaults.HTTPS_PORT,
    "endpoint.http_port": defaults.HTTP_PORT,
    "metrics.mlflow_port": defaults.MLFLOW_METRICS_PORT,
    "metrics.postgres_port": defaults.POSTGRES_METRICS_PORT,
}

# PostgreSQL's names have 63 characters, and `_readonly` is appended to this one.
_LONGEST_USER = 54

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_POSTGRES_SETTING = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*")
_POSTGRES_VERSION = re.compile(r"([0-9]{2})(\.[0-9]+)?")
_OFFICIAL_IMAGE = re.compile(r"postgres:([0-9.]+)-trixie@")
MLFLOW_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_HOST_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(r"[^\s@{}\"`#]+@[^\s@{}\"`#]+\.[^\s@{}\"`#]+")
_HOSTNAME = re.compile(rf"{_HOST_LABEL}(\.{_HOST_LABEL})*")

# Older versions leave some addresses, such as /v1/traces, without sign-in. Read in the code of 3.17.2 and 3.6.0.
_SIGN_IN_SINCE = (3, 17, 0)

# In MiB. With less, the service is killed at its start or under its first load.
_LEAST_POSTGRES_MEMORY = 512
_LEAST_MLFLOW_MEMORY = 2048


def errors(args: PlatformArgs) -> Errors:
    """What is wrong with the arguments, alone or together: at most one error for each."""
    yield from _versions(args)
    yield from _names(args)
    yield from _images(args)
    yield from _sizes(args)
    yield from _postgres_settings(args.postgres_settings)
    yield from _database_server(args)
    if args.endpoint:
        yield from _endpoint(args.endpoint)
    yield from _allowed_hosts(args)
    yield from _address(args)
    yield from _ports({each.argument: each.host for each in args.published_ports})


def free_port(port: int, taken: Collection[int]) -> int:
    """The next port after `port` that is not taken."""
    candidates = itertools.chain(range(port + 1, 65536), range(1024, port))
    return next(number for number in candidates if number not in taken)


def _versions(args: PlatformArgs) -> Errors:
    majors = f"{POSTGRES_MAJORS[0]} to {POSTGRES_MAJORS[-1]}"
    version = _POSTGRES_VERSION.fullmatch(args.postgres_version)
    usual = defaults.POSTGRES_VERSION
    if not version:
        rule = f'a version of PostgreSQL is a major from {majors}, or a release of one such as "17.6"'
        yield ArgumentError(
            "postgres-version-invalid", "postgres_version", args.postgres_version, rule=rule, accepted=usual
        )
    elif int(version[1]) not in POSTGRES_MAJORS:
        rule = f"the known majors are {majors}"
        yield ArgumentError(
            "postgres-version-unknown", "postgres_version", args.postgres_version, rule=rule, accepted=usual
        )
    official = _OFFICIAL_IMAGE.match(args.postgres_image)
    if official and official[1] != args.postgres_version:
        yield ArgumentError(
            "postgres-image-of-another-version",
            "postgres_image",
            args.postgres_image,
            rule="a pinned image is of the version that was pinned, and now it is {}",
            mentions=[Argument("postgres_version", args.postgres_version)],
        )
    if not MLFLOW_VERSION.fullmatch(args.mlflow_version):
        yield ArgumentError(
            "mlflow-version-invalid",
            "mlflow_version",
            args.mlflow_version,
            rule="a version of MLflow is three numbers such as 3.17.2",
            accepted=defaults.MLFLOW_VERSION,
        )
    elif args.sign_in and tuple(int(part) for part in args.mlflow_version.split(".")) < _SIGN_IN_SINCE:
        yield ArgumentError(
            "mlflow-version-without-sign-in",
            "mlflow_version",
            args.mlflow_version,
            rule="with {} it must be 3.17.0 or newer, for older versions do not ask for it on all of their addresses",
            accepted=defaults.MLFLOW_VERSION,
            mentions=[Argument("sign_in")],
        )


def _names(args: PlatformArgs) -> Errors:
    for argument, value in (("database", args.database), ("user", args.user)):
        if not _IDENTIFIER.fullmatch(value):
            rule = "a name is lower-case letters, digits and _, not a digit first, 63 at most"
            yield ArgumentError("database-name-invalid", argument, value, rule=rule, accepted=defaults.DATABASE)
        elif value.startswith("pg_") or value in ("postgres", "template0", "template1"):
            rule = "PostgreSQL reserves this name"
            yield ArgumentError("database-name-reserved", argument, value, rule=rule, accepted=defaults.DATABASE)
        elif argument == "user" and len(value) > _LONGEST_USER:
            rule = f"the names of other roles are made of it, so it may have {_LONGEST_USER} characters"
            yield ArgumentError("user-name-too-long", argument, value, rule=rule, accepted=defaults.USER)


def _images(args: PlatformArgs) -> Errors:
    for argument, value, usual in (
        ("python_image", args.python_image, defaults.PYTHON_IMAGE),
        ("debian_image", args.debian_image, defaults.DEBIAN_IMAGE),
    ):
        if not value:
            yield ArgumentError("image-not-named", argument, value, rule="an image has a name", accepted=usual)


def _sizes(args: PlatformArgs) -> Errors:
    if args.workers is not None and args.workers not in WORKERS:
        rule = f"the server has {WORKERS[0]} to {WORKERS[-1]} workers, so that one can restart while others work"
        yield ArgumentError("workers-out-of-range", "workers", args.workers, rule=rule, accepted=4)
    if args.credentials_version < 1:
        rule = "it is a number from 1 that is only ever raised; each rise generates all secrets again"
        yield ArgumentError(
            "credentials-version-invalid", "credentials_version", args.credentials_version, rule=rule, accepted=1
        )
    if args.gc_after_days is not None and args.gc_after_days < 1:
        rule = "it is a number of days in which what was deleted can still be restored"
        yield ArgumentError("days-out-of-range", "gc_after_days", args.gc_after_days, rule=rule, accepted=30)
    for argument, limits, least, usual in (
        ("postgres_limits", args.postgres_limits, _LEAST_POSTGRES_MEMORY, defaults.POSTGRES_MEMORY),
        ("mlflow_limits", args.mlflow_limits, _LEAST_MLFLOW_MEMORY, defaults.MLFLOW_MEMORY),
    ):
        if limits.memory_mb < least:
            rule = f"it is a number of MiB, {least} at least"
            yield ArgumentError(
                "memory-too-small", f"{argument}.memory_mb", limits.memory_mb, rule=rule, accepted=usual
            )
        if not 0 <= limits.cpus < math.inf:
            rule = "it is a number of processors, or 0 for all of them"
            yield ArgumentError("processors-invalid", f"{argument}.cpus", limits.cpus, rule=rule, accepted=0)


def _postgres_settings(chosen: object) -> Errors:
    if not isinstance(chosen, Mapping):
        rule = "it is names and their values"
        yield ArgumentError("postgres-settings-invalid", "postgres_settings", chosen, rule=rule)
        return
    for name, value in chosen.items():
        if rule := _rule_of_postgres(name, value):
            yield ArgumentError("postgres-setting-refused", "postgres_settings", value, rule=rule, item=name)


def _rule_of_postgres(name: str, value: object) -> str:
    """The rule that a setting of PostgreSQL breaks, or nothing."""
    if not _POSTGRES_SETTING.fullmatch(name):
        return "the name of a setting is lower-case letters, digits and _; an extension's has a point in it"
    if name in REFUSED:
        return REFUSED[name]
    if not isinstance(value, str | int | float):
        return "a value is text, a number, true or false"
    if isinstance(value, str) and ("\n" in value or "\0" in value):
        return "a value is one line of text"
    return ""


def _database_server(args: PlatformArgs) -> Errors:
    if args.database_server is None:
        return
    if args.postgres_port is not None:
        rule = "only a PostgreSQL of the platform's own is published, and there is {}"
        mentions = [Argument("database_server")]
        yield ArgumentError("database-port-not-ours", "postgres_port", args.postgres_port, rule=rule, mentions=mentions)
    if args.metrics and args.database_server.monitor is None:
        rule = "the exporter signs in as the monitor role, and {} is missing"
        mentions = [Argument("database_server.monitor")]
        yield ArgumentError("monitor-login-missing", "metrics", args.metrics, rule=rule, mentions=mentions)


def _endpoint(endpoint: PublicEndpoint) -> Errors:
    host, tls = endpoint.hostname, endpoint.tls
    if tls not in list(Tls):
        rule = f"it is one of {', '.join(Tls)}"
        yield ArgumentError("tls-unknown", "endpoint.tls", tls, rule=rule, accepted=Tls.INTERNAL)
    if not _is_name(host):
        rule = "it is a name in lower case such as mlflow.example.com, without scheme, port and path"
        yield ArgumentError("hostname-invalid", "endpoint.hostname", host, rule=rule, accepted="mlflow.example.com")
    elif tls == Tls.ACME and "." not in host:
        rule = "tls acme needs a name that the internet knows"
        yield ArgumentError("hostname-not-public", "endpoint.hostname", host, rule=rule, accepted="mlflow.example.com")
    if endpoint.acme_email and not _EMAIL.fullmatch(endpoint.acme_email):
        rule = "it is an address that mail is sent to"
        yield ArgumentError(
            "email-invalid", "endpoint.acme_email", endpoint.acme_email, rule=rule, accepted="ops@example.com"
        )
    if tls == Tls.FILES and "CERTIFICATE-----" not in endpoint.certificate:
        rule = "with tls files it is a certificate in PEM"
        # Without the value, which may be the private key.
        value = "…" if endpoint.certificate else ""
        yield ArgumentError("certificate-missing", "endpoint.certificate", value, rule=rule, accepted="…")
    if tls == Tls.FILES and endpoint.key is None:
        rule = "with tls files it is the certificate's private key in PEM"
        yield ArgumentError("certificate-key-missing", "endpoint.key", None, rule=rule, accepted="…")


def _allowed_hosts(args: PlatformArgs) -> Errors:
    if isinstance(args.allowed_hosts, str) or not isinstance(args.allowed_hosts, Sequence):
        rule = "it is a list of names"
        yield ArgumentError("allowed-hosts-not-a-list", "allowed_hosts", args.allowed_hosts, rule=rule)
        return
    acme = args.endpoint is not None and args.endpoint.tls == Tls.ACME
    for number, host in enumerate(args.allowed_hosts):
        usual = "mlflow.example.com"
        if acme and not (_is_name(host) and "." in host and not _is_address(host)):
            rule = "tls acme needs a name that the internet knows"
            yield ArgumentError(
                "allowed-host-not-public", "allowed_hosts", host, rule=rule, accepted=usual, item=number
            )
        elif not _is_name(host) and not _is_address(host):
            rule = "it is a name in lower case such as mlflow.lan, or an address, without scheme, port and path"
            yield ArgumentError("allowed-host-invalid", "allowed_hosts", host, rule=rule, accepted=usual, item=number)


def _is_name(host: object) -> bool:
    return isinstance(host, str) and bool(_HOSTNAME.fullmatch(host)) and len(host) <= 253


def _is_address(host: object) -> bool:
    try:
        return isinstance(host, str) and bool(ipaddress.ip_address(host))
    except ValueError:
        return False


def _address(args: PlatformArgs) -> Errors:
    if not _is_address(args.bind_address):
        rule = "it must be an IP address of this machine, not a name"
        yield ArgumentError("address-invalid", "bind_address", args.bind_address, rule=rule, accepted=defaults.ADDRESS)
        return
    with_tls = args.endpoint is not None and args.endpoint.tls != Tls.OFF
    loopback = ipaddress.ip_address(args.bind_address).is_loopback
    if loopback or (args.sign_in and with_tls) or args.allow_open_access:
        return
    missing = [
        *([] if args.sign_in else [Argument("sign_in", True)]),
        *([] if with_tls else [Argument("endpoint.tls")]),
    ]
    yield ArgumentError(
        "address-open",
        "bind_address",
        args.bind_address,
        rule="beyond loopback everybody who reaches it reads and writes the runs: it needs "
        f"{' and '.join('{}' for _ in missing)}, or {{}}",
        accepted=defaults.ADDRESS,
        mentions=[*missing, Argument("allow_open_access", True)],
    )


def _ports(ports: Mapping[str, int]) -> Errors:
    holders: dict[int, str] = {}
    # When two ports clash with a third, each gets a number of its own.
    numbers = set(ports.values())
    for argument, port in ports.items():
        first = 1 if argument in _LOW_PORTS else 1024
        if not first <= port <= 65535:
            rule = f"a port is a number from {first} to 65535"
            yield ArgumentError("port-out-of-range", argument, port, rule=rule, accepted=_USUAL_PORTS[argument])
        elif port in holders:
            free = free_port(port, numbers)
            numbers.add(free)
            yield ArgumentError(
                "port-used-twice",
                argument,
                port,
                rule="{} has that port already",
                accepted=free,
                mentions=[Argument(holders[port])],
            )
        else:
            holders[port] = argument
