"""Pin the base images: name, tag and the digest that the tag has in the registry, in the stack's configuration."""

from __future__ import annotations

import argparse

import docker
from docker.errors import APIError, DockerException
from requests import RequestException

from contract.errors import UserError
from preflight.engine import open_engine

from .stack import configuration, pulumi

KEYS = ("postgresImage", "pythonImage", "debianImage")


def run(options: argparse.Namespace) -> None:
    """Write every base image as `name:tag@sha256:…` into the stack's configuration, by the digest of now.

    One that has a digest already is asked for anew by its tag. Raises `UserError` if a registry has no answer;
    nothing is written then.
    """
    names = base_images(configuration(options.stack))
    engine = open_engine()
    try:
        pinned = {key: _pinned(engine, key, name) for key, name in names.items()}
    finally:
        engine.close()
    # All in one: a half-pinned stack would look pinned.
    changes = [word for key, reference in pinned.items() for word in ("--plaintext", f"{key}={reference}")]
    pulumi("config", "set-all", *changes, "--stack", options.stack)
    for key, reference in pinned.items():
        print(f"{key}: {reference}")


def base_images(configuration: dict[str, str]) -> dict[str, str]:
    """The images that a stack's are built from, by their setting; those too that are for services switched off."""
    official = f"postgres:{configuration['postgresVersion']}-trixie"
    return {key: configuration[key] or official for key in KEYS}


def _pinned(engine: docker.DockerClient, key: str, name: str) -> str:
    tagged = name.partition("@")[0]
    if ":" not in tagged.rpartition("/")[2]:
        # Without a tag the registry would be asked for `latest`, which may be anything.
        raise UserError(
            "image-without-tag",
            f"{key} is {name!r}",
            rule="a tag, such as in debian:trixie-slim, says what the registry is asked for; nothing was written",
            remedy=f"bin/pulumi config set {key} {tagged}:TAG",
        )
    try:
        return f"{tagged}@{engine.images.get_registry_data(tagged).id}"
    except (DockerException, RequestException) as error:
        reason = error.explanation if isinstance(error, APIError) and error.explanation else error
        raise UserError(
            "image-without-digest",
            f"{key} is {name!r}, and its registry does not say which digest {tagged} has: {reason}; nothing was "
            "written",
            remedy=f"docker pull {tagged}, which shows what is wrong",
        ) from None
