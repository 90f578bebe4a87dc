"""MLflow on PostgreSQL as Pulumi components. None of them reads configuration; `Settings` does, for our own program."""

from .from_settings import platform_args
from .platform import Platform, PlatformArgs
from .settings import Settings

__all__ = ["Platform", "PlatformArgs", "Settings", "platform_args"]
