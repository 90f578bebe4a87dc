"""MLflow on PostgreSQL as Pulumi components, for any Pulumi program. They read no configuration."""

from .database import ExternalDatabase, Login, PostgresOptions, SslMode
from .endpoint import PublicEndpoint, Tls
from .engine import DockerHost
from .engine.workload import Limits
from .errors import DeploymentError
from .metrics import Metrics
from .platform import Platform, PlatformArgs
from .services.adminer import Adminer
from .services.mlflow import MlflowOptions
from .services.sidecar import Sidecar

__all__ = [
    "Adminer",
    "DeploymentError",
    "DockerHost",
    "ExternalDatabase",
    "Limits",
    "Login",
    "Metrics",
    "MlflowOptions",
    "Platform",
    "PlatformArgs",
    "PostgresOptions",
    "PublicEndpoint",
    "Sidecar",
    "SslMode",
    "Tls",
]
