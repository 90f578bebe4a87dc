"""A stack's settings as the platform's arguments."""

from __future__ import annotations

import math
from pathlib import Path

import pulumi

from .engine.workload import Limits
from .metrics import Metrics
from .platform import PlatformArgs
from .rules import WORKERS, read_pem
from .services.gateway import FrontDoor
from .settings import Settings

# Without a limit on the processors; the plan must be the same on every machine, so nobody counts those of this one.
_USUAL_WORKERS = 4
# In MiB, under load, and what those that wait for jobs take beside it.
_MEMORY_OF_A_WORKER = 600
_MEMORY_OF_JOBS = 1100


def platform_args(settings: Settings, images: Path) -> PlatformArgs:
    """What the platform of a stack is told; `images` is the folder that holds the images' folders."""
    return PlatformArgs(
        images=images,
        mlflow_version=settings.mlflow_version,
        postgres_major=settings.postgres_major,
        postgres_base=settings.postgres_base,
        python_base=settings.python_image,
        debian_base=settings.debian_image,
        database=settings.postgres_database,
        user=settings.postgres_user,
        bind_address=settings.bind_address,
        side_address=settings.side_address,
        more_hosts=settings.allowed_hosts,
        mlflow_port=settings.mlflow_port,
        postgres_port=settings.postgres_port or None,
        adminer_port=settings.adminer_port if settings.adminer else None,
        front_door=_front_door(settings),
        metrics=Metrics(mlflow_port=settings.mlflow_metrics_port, postgres_port=settings.postgres_metrics_port)
        if settings.metrics
        else None,
        sign_in=settings.sign_in,
        credentials_version=settings.credentials_version,
        workers=_workers(settings),
        jobs=settings.mlflow_jobs,
        postgres_settings={name: _text(value) for name, value in settings.postgres_settings.items()},
        mlflow_limits=Limits(memory_mb=settings.mlflow_memory, cpus=settings.mlflow_cpus),
        postgres_limits=Limits(memory_mb=settings.postgres_memory, cpus=settings.postgres_cpus),
        gc_after_days=settings.gc_after_days or None,
        keep_data=settings.keep_data,
        protect_data=settings.protect_data,
    )


def _workers(settings: Settings) -> int:
    """Worker processes of MLflow's server: those that were chosen, or as many as its limits feed."""
    if settings.mlflow_workers or not settings.mlflow_cpus:
        return settings.mlflow_workers or _USUAL_WORKERS
    # Two for each processor: while one waits for the database, the other works.
    free = settings.mlflow_memory - (_MEMORY_OF_JOBS if settings.mlflow_jobs else 0)
    fed = min(math.ceil(2 * settings.mlflow_cpus), free // _MEMORY_OF_A_WORKER)
    return min(max(fed, WORKERS[0]), WORKERS[-1])


def _text(value: str | float) -> str:
    """A value as PostgreSQL reads it."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def _front_door(settings: Settings) -> FrontDoor | None:
    if not settings.hostname:
        return None
    files = settings.tls == "files"
    return FrontDoor(
        hostname=settings.hostname,
        more_hosts=settings.allowed_hosts,
        tls=settings.tls,
        https_port=settings.https_port,
        http_port=settings.http_port,
        acme_email=settings.acme_email,
        certificate=read_pem("tlsCertificateFile", settings.tls_certificate_file, "CERTIFICATE") if files else "",
        # Not a setting of its own: Pulumi hands those over in the program's environment, secret or not.
        key=pulumi.Output.secret(read_pem("tlsKeyFile", settings.tls_key_file, "PRIVATE KEY")) if files else None,
    )
