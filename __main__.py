"""The Pulumi program: settings, a look at the host, the platform, its outputs."""

from pathlib import Path

import pulumi

from components import Platform, Settings, platform_args
from contract.names import object_prefix
from preflight.host import check_host

IMAGES = Path("images")

settings = Settings.load(locks=IMAGES / "mlflow" / "locks")
args = platform_args(settings, IMAGES)
check_host(args, object_prefix(pulumi.get_project(), pulumi.get_stack()), settings.ports)
platform = Platform(pulumi.get_project(), args)
for name, value in platform.outputs.items():
    pulumi.export(name, value)
