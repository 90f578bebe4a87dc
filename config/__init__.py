"""The settings of this project's stacks. Only this package reads `pulumi.Config`; it makes `PlatformArgs` of it."""

from .names import errors_name_settings
from .settings import load

__all__ = ["errors_name_settings", "load"]
