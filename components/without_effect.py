"""Settings that were chosen and have no effect beside the others."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .rules import USUAL_PORTS

if TYPE_CHECKING:
    from .settings import Settings


def without_effect(settings: Settings) -> Iterator[str]:
    """A warning for each: the value seen, why it has no effect, and the command that mends it.

    One that has its default was not chosen, as far as anybody can tell.
    """
    loopback = ipaddress.ip_address(settings.bind_address).is_loopback
    for key, value, reason in (
        ("mlflowPort", settings.mlflow_port, "with hostname the gateway's ports are MLflow's only ones"),
        ("httpsPort", settings.https_port, "only a gateway with TLS has it: it needs hostname and tls"),
        ("httpPort", settings.http_port, "only a gateway has it: it needs hostname"),
        ("adminerPort", settings.adminer_port, "it needs adminer true"),
        ("mlflowMetricsPort", settings.mlflow_metrics_port, "it needs metrics true"),
        ("postgresMetricsPort", settings.postgres_metrics_port, "it needs metrics true"),
    ):
        if key not in settings.ports and value not in (0, USUAL_PORTS[key]):
            yield _warning(key, value, reason)
    for key, text, mode in (
        ("acmeEmail", settings.acme_email, "acme"),
        ("tlsCertificateFile", settings.tls_certificate_file, "files"),
        ("tlsKeyFile", settings.tls_key_file, "files"),
    ):
        if text and settings.tls != mode:
            yield _warning(key, text, f"it needs tls {mode}")
    if settings.i_understand_this_is_open and loopback:
        yield _warning("iUnderstandThisIsOpen", "true", "nothing is open while bindAddress is a loopback address")


def _warning(key: str, value: object, reason: str) -> str:
    return f"{key} is {value} and has no effect: {reason}. Mend it with: bin/pulumi config rm {key}"
