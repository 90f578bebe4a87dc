"""MLflow on PostgreSQL as Pulumi components, for any Pulumi program. They read no configuration."""

from .database import ExternalDatabase, Login, SslMode
from .endpoint import PublicEndpoint, Tls
from .engine import DockerHost
from .engine.workload import Limits
from .errors import DeploymentError
from .metrics import Metrics
from .platform import Platform, PlatformArgs

__all__ = [
    "DeploymentError",
    "DockerHost",
    "ExternalDatabase",
    "Limits",
    "Login",
    "Metrics",
    "Platform",
    "PlatformArgs",
    "PublicEndpoint",
    "SslMode",
    "Tls",
]
