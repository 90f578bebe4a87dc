"""Pins the base images: writes name, tag and current digest of each into the configuration."""

from __future__ import annotations

import argparse
from contextlib import closing

from contract.errors import UserError

from .runtime import Connect, RegistryError, Runtime
from .stack import configuration, pulumi

KEYS = ("postgresImage", "pythonImage", "debianImage")


def run(options: argparse.Namespace, connect: Connect) -> None:
    """Write every base image as `name:tag@sha256:…` into the stack's configuration, with its current digest.

    The digest of an image that has one already is asked for again. Raises `UserError` if a registry does not answer;
    nothing is written then.
    """
    names = base_images(configuration(options.stack))
    with closing(connect()) as runtime:
        pinned = {key: _pinned(runtime, key, name) for key, name in names.items()}
    # All in one call: a stack with only some images pinned would look pinned.
    changes = [word for key, reference in pinned.items() for word in ("--plaintext", f"{key}={reference}")]
    pulumi("config", "set-all", *changes, "--stack", options.stack)
    for key, reference in pinned.items():
        print(f"{key}: {reference}")


def base_images(configuration: dict[str, str]) -> dict[str, str]:
    """The stack's base images by their setting, those of services that are switched off included."""
    official = f"postgres:{configuration['postgresVersion']}-trixie"
    return {key: configuration[key] or official for key in KEYS}


def _pinned(runtime: Runtime, key: str, name: str) -> str:
    tagged = name.partition("@")[0]
    if ":" not in tagged.rpartition("/")[2]:
        # Without a tag the registry would be asked for `latest`, which may be anything.
        raise UserError(
            "image-without-tag",
            f"{key} is {name!r}",
            rule="it must have a tag, such as debian:trixie-slim; nothing was written",
            remedy=f"bin/pulumi config set {key} {tagged}:TAG",
        )
    try:
        return f"{tagged}@{runtime.digest(tagged)}"
    except RegistryError as error:
        raise UserError(
            "image-without-digest",
            f"{key} is {name!r}, and its registry does not say which digest {tagged} has: {error}; nothing was written",
            remedy=f"docker pull {tagged}, which shows what is wrong",
        ) from None
