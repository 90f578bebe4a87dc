"""The rules for a platform's arguments, whatever program it is. The options of a service bring their own."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from contract import roles
from contract.errors import Argument, ArgumentError

from . import defaults
from .endpoint import PublicEndpoint, Tls
from .ports import PublishedPort
from .services.mlflow import VERSION, MlflowOptions

if TYPE_CHECKING:
    from .platform import PlatformArgs

Errors = Iterator[ArgumentError]

_HOST_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(r"[^\s@{}\"`#]+@[^\s@{}\"`#]+\.[^\s@{}\"`#]+")
_HOSTNAME = re.compile(rf"{_HOST_LABEL}(\.{_HOST_LABEL})*")

# Older versions leave some addresses, such as /v1/traces, without sign-in. Read in the code of 3.17.2 and 3.6.0.
_SIGN_IN_SINCE = (3, 17, 0)

_ROLE = re.compile(r"[a-z]+")
OWN_ROLES = (
    *(roles.POSTGRES, roles.SCHEMA, roles.MLFLOW, roles.EXPORTER, roles.GATEWAY),
    *(roles.GC, roles.SETTINGS, roles.IMPORT, roles.RESTORE),
)


def errors(args: PlatformArgs) -> Errors:
    """What is wrong with the arguments, alone or together: at most one error for each."""
    yield from args.mlflow.errors()
    yield from args.postgres.errors()
    yield from _images(args)
    yield from _numbers(args)
    yield from _sign_in(args)
    yield from _database_server(args)
    if args.endpoint:
        yield from _endpoint(args.endpoint)
    yield from _allowed_hosts(args)
    yield from _address(args)
    yield from _sidecars(args)
    yield from _ports(args.published_ports)


def free_port(port: int, taken: Collection[int]) -> int:
    """The next port after `port` that is not taken."""
    candidates = itertools.chain(range(port + 1, 65536), range(1024, port))
    return next(number for number in candidates if number not in taken)


def _images(args: PlatformArgs) -> Errors:
    for argument, value, usual in (
        ("python_image", args.python_image, defaults.PYTHON_IMAGE),
        ("debian_image", args.debian_image, defaults.DEBIAN_IMAGE),
    ):
        if not value:
            yield ArgumentError("image-not-named", argument, value, rule="an image has a name", accepted=usual)


def _numbers(args: PlatformArgs) -> Errors:
    if args.credentials_version < 1:
        rule = "it is a number from 1 that is only ever raised; each rise generates all secrets again"
        yield ArgumentError(
            "credentials-version-invalid", "credentials_version", args.credentials_version, rule=rule, accepted=1
        )
    if args.gc_after_days is not None and args.gc_after_days < 1:
        rule = "it is a number of days in which what was deleted can still be restored"
        yield ArgumentError("days-out-of-range", "gc_after_days", args.gc_after_days, rule=rule, accepted=30)


def _sign_in(args: PlatformArgs) -> Errors:
    version = args.mlflow.version
    if args.sign_in and VERSION.fullmatch(version) and tuple(map(int, version.split("."))) < _SIGN_IN_SINCE:
        yield ArgumentError(
            "mlflow-version-without-sign-in",
            "mlflow.version",
            version,
            rule="with {} it must be 3.17.0 or newer, for older versions do not ask for it on all of their addresses",
            accepted=MlflowOptions.version,
            mentions=[Argument("sign_in")],
        )


def _database_server(args: PlatformArgs) -> Errors:
    if args.database_server is None:
        return
    if args.postgres.port is not None:
        rule = "only a PostgreSQL of the platform's own is published, and there is {}"
        mentions = [Argument("database_server")]
        yield ArgumentError("database-port-not-ours", "postgres.port", args.postgres.port, rule=rule, mentions=mentions)
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


def _is_loopback(address: str) -> bool:
    return _is_address(address) and ipaddress.ip_address(address).is_loopback


def _address(args: PlatformArgs) -> Errors:
    if not _is_address(args.bind_address):
        rule = "it must be an IP address of this machine, not a name"
        yield ArgumentError("address-invalid", "bind_address", args.bind_address, rule=rule, accepted=defaults.ADDRESS)
        return
    with_tls = args.endpoint is not None and args.endpoint.tls != Tls.OFF
    if _is_loopback(args.bind_address) or (args.sign_in and with_tls) or args.allow_open_access:
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


def _sidecars(args: PlatformArgs) -> Errors:
    taken = set(OWN_ROLES)
    for sidecar in args.sidecars:
        if not _ROLE.fullmatch(sidecar.role) or sidecar.role in taken:
            rule = "the role of a sidecar is one word in lower case that no other service has"
            yield ArgumentError("sidecar-role-invalid", "sidecars", sidecar.role, rule=rule)
        taken.add(sidecar.role)
        for port in sidecar.ports(args.unencrypted_address):
            if not (_is_loopback(port.address) or args.allow_open_access):
                rule = "a sidecar has no TLS: beyond loopback it needs {}"
                yield ArgumentError(
                    "sidecar-port-open",
                    port.argument,
                    f"{port.address}:{port.host}",
                    rule=rule,
                    accepted=f"{defaults.ADDRESS}:{port.host}",
                    mentions=[Argument("allow_open_access", True)],
                )


def _ports(ports: Sequence[PublishedPort]) -> Errors:
    holders: dict[int, str] = {}
    # When two ports clash with a third, each gets a number of its own.
    numbers = {port.host for port in ports}
    for port in ports:
        argument, number = port.argument, port.host
        if not port.first <= number <= 65535:
            rule = f"a port is a number from {port.first} to 65535"
            yield ArgumentError("port-out-of-range", argument, number, rule=rule, accepted=port.usual)
        elif number in holders:
            free = free_port(number, numbers)
            numbers.add(free)
            yield ArgumentError(
                "port-used-twice",
                argument,
                number,
                rule="{} has that port already",
                accepted=free,
                mentions=[Argument(holders[number])],
            )
        else:
            holders[number] = argument
