"""A PostgreSQL server that exists already, such as one of a cloud provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from .server import Login, SslMode


@dataclass(frozen=True, kw_only=True)
class ExternalDatabase:
    """Implements `server.DatabaseServer` with values that the caller knows. Its roles and its database must exist."""

    host: str
    database: str
    owner: Login
    server: Login
    readonly: Login
    monitor: Login | None = None
    """Needed for metrics."""
    port: int = 5432
    sslmode: SslMode = SslMode.VERIFY_FULL
    ca_certificate: str = ""
    resources: Sequence[pulumi.Resource] = ()
