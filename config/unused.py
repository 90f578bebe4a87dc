"""Settings that were chosen and have no effect together with the others."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from components import Metrics, MlflowOptions, PlatformArgs, PublicEndpoint, Sidecar, Tls
from contract.roles import OPTIONAL

from .names import key_of

if TYPE_CHECKING:
    from .settings import Settings


def unused_settings(settings: Settings, args: PlatformArgs, switched_off: Sequence[Sidecar]) -> Iterator[str]:
    """A warning for each: the value seen, the reason, and the command that removes it.

    A setting that has its default was not chosen, as far as anybody can tell.
    """
    published = {key_of(each.argument) for each in args.published_ports}
    for key, value, usual, reason in (
        (
            "mlflowPort",
            settings.mlflow_port,
            MlflowOptions.port,
            "with hostname the gateway's ports are MLflow's only ones",
        ),
        (
            "httpsPort",
            settings.https_port,
            PublicEndpoint.https_port,
            "only a gateway with TLS has it: it needs hostname and tls",
        ),
        ("httpPort", settings.http_port, PublicEndpoint.http_port, "only a gateway has it: it needs hostname"),
        ("mlflowMetricsPort", settings.mlflow_metrics_port, Metrics.mlflow_port, "it needs metrics true"),
        (
            "postgresMetricsPort",
            settings.postgres_metrics_port,
            Metrics.postgres_port,
            "it needs metrics true",
        ),
    ):
        if key not in published and value not in (0, usual):
            yield _warning(key, value, reason)
    for sidecar in switched_off:
        for port in sidecar.ports(args.unencrypted_address):
            if port.host not in (0, port.usual):
                yield _warning(key_of(port.argument), port.host, f"it needs {OPTIONAL[sidecar.role].setting} true")
    for key, text, mode in (
        ("acmeEmail", settings.acme_email, Tls.ACME),
        ("tlsCertificateFile", settings.tls_certificate_file, Tls.FILES),
        ("tlsKeyFile", settings.tls_key_file, Tls.FILES),
    ):
        if text and settings.tls != mode:
            yield _warning(key, text, f"it needs tls {mode.value}")
    if settings.i_understand_this_is_open and ipaddress.ip_address(settings.bind_address).is_loopback:
        yield _warning("iUnderstandThisIsOpen", "true", "nothing is open while bindAddress is a loopback address")


def _warning(key: str, value: object, reason: str) -> str:
    return f"{key} is {value} and has no effect: {reason}. Mend it with: bin/pulumi config rm {key}"
