"""The Pulumi program: settings, a look at the host, the platform, its outputs."""

from pathlib import Path

import pulumi

from components import Platform, PlatformArgs, Settings, object_prefix
from preflight import check_host

IMAGES = Path("images")

settings = Settings.load(locks=IMAGES / "mlflow" / "locks")
args = PlatformArgs(
    images=IMAGES,
    mlflow_version=settings.mlflow_version,
    postgres_major=settings.postgres_major,
    postgres_base=settings.postgres_base,
    python_base=settings.python_image,
    debian_base=settings.debian_image,
    database=settings.postgres_database,
    user=settings.postgres_user,
    bind_address=settings.bind_address,
    mlflow_port=settings.mlflow_port,
    postgres_port=settings.postgres_port or None,
    adminer_port=settings.adminer_port if settings.adminer else None,
    keep_data=settings.keep_data,
)
check_host(args, object_prefix(pulumi.get_project(), pulumi.get_stack()), settings.ports)
platform = Platform(pulumi.get_project(), args)
for name, value in platform.outputs.items():
    pulumi.export(name, value)
