"""The Pulumi program: settings, a check of the host, the platform, its outputs."""

from pathlib import Path

import pulumi

from components import Platform
from config import errors_name_settings, load
from contract.names import object_prefix
from preflight.host import check_host

args = load(Path("images"))
with errors_name_settings():
    check_host(args, object_prefix(pulumi.get_project(), pulumi.get_stack()))
platform = Platform(pulumi.get_project(), args)
for name, value in platform.outputs.items():
    pulumi.export(name, value)
