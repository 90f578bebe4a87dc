"""A stack's settings as the platform's arguments."""

from __future__ import annotations

from pathlib import Path

import pulumi

from .gateway import FrontDoor
from .platform import PlatformArgs
from .rules import read_pem
from .settings import Settings
from .workload import Limits


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
        mlflow_port=settings.mlflow_port,
        postgres_port=settings.postgres_port or None,
        adminer_port=settings.adminer_port if settings.adminer else None,
        front_door=_front_door(settings),
        sign_in=settings.sign_in,
        credentials_version=settings.credentials_version,
        workers=settings.mlflow_workers,
        mlflow_limits=Limits(memory_mb=settings.mlflow_memory, cpus=settings.mlflow_cpus),
        postgres_limits=Limits(
            memory_mb=settings.postgres_memory,
            cpus=settings.postgres_cpus,
            # Parallel queries share memory here, and fail when the engine's usual 64 MB are used up.
            shared_memory_mb=settings.postgres_memory // 4,
        ),
        keep_data=settings.keep_data,
        protect_data=settings.protect_data,
    )


def _front_door(settings: Settings) -> FrontDoor | None:
    if not settings.hostname:
        return None
    files = settings.tls == "files"
    return FrontDoor(
        hostname=settings.hostname,
        tls=settings.tls,
        https_port=settings.https_port,
        http_port=settings.http_port,
        acme_email=settings.acme_email,
        certificate=read_pem("tlsCertificateFile", settings.tls_certificate_file, "CERTIFICATE") if files else "",
        # Not a setting of its own: Pulumi hands those over in the program's environment, secret or not.
        key=pulumi.Output.secret(read_pem("tlsKeyFile", settings.tls_key_file, "PRIVATE KEY")) if files else None,
    )
