"""Supplies the three base images: from a registry, or else as stand-ins built from Debian packages."""

from __future__ import annotations

import http.client
import io
import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain import debian, rootfs
from toolchain.cache import key_of, scratch
from toolchain.engine_api import ApiError, Engine
from toolchain.progress import Failure, say, step

BASE = "debian:trixie-slim"
FOLDERS = {
    "postgres:17-trixie": Path(__file__).with_name("images") / "postgres",
    "python:3.13-slim-trixie": Path(__file__).with_name("images") / "python",
}
LABEL = "mlflow-postgres.stand-in"
# A reachable registry answers in one or two seconds. A machine without DNS may wait 90 s for its resolver.
FIRST_ANSWER_SECONDS = 20.0
SILENCE_SECONDS = 120.0
# Messages that only a registry sends. Any other error comes from a resolver, a proxy or the network.
REGISTRY_WORDS = ("manifest unknown", "manifest for", "toomanyrequests", "pull access denied", "unauthorized")
PROXIES = ("http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class Recipe:
    """A stand-in. An image with this name whose label is not `key` was built from other inputs."""

    image: str
    key: str


def ensure_images(engine: Engine, cache: Path) -> None:
    """Make sure that the engine has the base images. Raises Failure."""
    if not engine.reachable_here:
        say(f"{engine.address} cannot be checked from here; it must have or pull {', '.join([BASE, *FOLDERS])} itself")
        return
    try:
        certificates = host_certificates(rootfs.HOST_CERTIFICATES)
        mirrors = rootfs.Mirrors.of(debian.apt_sources())
        recipes = make_recipes(certificates, mirrors)
        missing = [recipe for recipe in recipes if needs_work(engine.image_labels(recipe.image), recipe.key)]
        if missing:
            left = pull_all(engine, missing)
            if left:
                build_stand_ins(engine, cache, recipes, left, certificates)
    except (OSError, http.client.HTTPException, ApiError) as error:
        mend = "if the disk of the engine is full, free some space; then run this again"
        raise Failure("base-images-missing", "supplying the base images", mend, str(error)) from error


def host_certificates(folder: Path) -> list[Path]:
    """The certificates that this machine trusts in addition to Debian's."""
    return sorted(path for path in folder.rglob("*.crt") if path.is_file())


def make_recipes(certificates: Sequence[Path], mirrors: rootfs.Mirrors) -> list[Recipe]:
    """The stand-ins in build order. The base's key is part of every other key."""
    base = key_of([Path(rootfs.__file__), *certificates, mirrors.main or "", mirrors.security or ""])
    return [Recipe(BASE, base), *(Recipe(image, key_of([base, folder])) for image, folder in FOLDERS.items())]


def needs_work(labels: Mapping[str, str] | None, key: str) -> bool:
    """Whether an image is missing, or a stand-in built from other inputs. Images without our label are official."""
    return labels is None or labels.get(LABEL, key) != key


def pull_all(engine: Engine, recipes: Sequence[Recipe]) -> list[Recipe]:
    """Pull the images, and return those that no registry has sent. Stops at the first timeout."""
    for index, recipe in enumerate(recipes):
        try:
            with step(f"asking the image registry for {recipe.image}"):
                engine.pull(recipe.image, FIRST_ANSWER_SECONDS, SILENCE_SECONDS)
        except (ApiError, TimeoutError) as error:
            if "no space left" in str(error):
                raise Failure(
                    "engine-disk-full", f"pulling {recipe.image}", "free space on the engine's disk", str(error)
                ) from error
            if any(word in str(error) for word in REGISTRY_WORDS):
                mend = f"docker pull {recipe.image} says more (a limit passes with time, or with docker login)"
                raise Failure(
                    "registry-refused", f"the image registry refused {recipe.image}", mend, str(error)
                ) from error
            return list(recipes[index:])
    return []


def build_stand_ins(
    engine: Engine, cache: Path, recipes: Sequence[Recipe], missing: Sequence[Recipe], certificates: Sequence[Path]
) -> None:
    """Build the missing images from Debian packages. Raises Failure if this machine cannot."""
    names = ", ".join(recipe.image for recipe in missing)
    if not (debian.is_root() and debian.is_supported_debian()):
        raise Failure(
            "registry-silent",
            f"no image registry answers, and stand-ins for {names} need root on Debian {' or '.join(debian.SUPPORTED)}",
            f"bring them along (docker save, docker load) or open the way to a registry: {names}",
        )
    for recipe in recipes:
        if recipe in missing:
            old = engine.image_id(recipe.image)
            with step(f"building a stand-in for {recipe.image}"):
                if recipe.image == BASE:
                    build_base(engine, cache, recipe, certificates)
                else:
                    build_on_base(engine, recipe)
            if old and old != engine.image_id(recipe.image):
                engine.remove_image(old)
    say(f"no image registry answers: built stand-ins for {names}")


def build_base(engine: Engine, cache: Path, recipe: Recipe, certificates: Sequence[Path]) -> None:
    """Create a small Debian and import it into the engine."""
    if shutil.which("debootstrap") is None:
        debian.install(["debootstrap"], "debootstrap")
    with scratch(cache, "rootfs") as folder:
        rootfs.make(folder / "root", certificates, rootfs.Mirrors.of(debian.apt_sources()))
        changes = ['CMD ["bash"]', f"LABEL {LABEL}={recipe.key}"]
        engine.import_image(recipe.image, rootfs.archive(folder / "root"), changes)


def build_on_base(engine: Engine, recipe: Recipe) -> None:
    """Build a stand-in from its Dockerfile."""
    try:
        engine.build(recipe.image, pack(FOLDERS[recipe.image]), {LABEL: recipe.key}, proxy_arguments(os.environ))
    except ApiError as error:
        mend = "see that this machine reaches its Debian mirror, then run this again"
        raise Failure("stand-in-not-built", f"building a stand-in for {recipe.image}", mend, str(error)) from error


def proxy_arguments(environment: Mapping[str, str]) -> dict[str, str]:
    """The user's proxies as build arguments. Docker predefines these, so the image does not contain them."""
    return {name: value for name, value in environment.items() if name.lower() in PROXIES}


def pack(folder: Path) -> bytes:
    """A build context without owners and times. The same content gives the same archive, which hits the build cache."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        # The modes that git stores, because the umask of a checkout must not change the image.
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name, filter=plain)
    return buffer.getvalue()
