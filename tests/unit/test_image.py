"""An image's digest, which its tag is made of: a change builds, and nothing else does."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components import MlflowOptions, PlatformArgs
from components.image import JUNK, Image

from .deploy import CHECKOUT, IMAGES

FOLDERS = sorted(file.parent for file in IMAGES.glob("*/Dockerfile"))
OWN_CONTEXT = [folder for folder in FOLDERS if folder.name != "mlflow"]
"""Those that are a build context. MLflow's image is built from the checkout."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "image"
    (folder / "bin").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM base\n")
    (folder / "bin" / "serve").write_text("#!/bin/sh\n")
    return folder


def digest(folder: Path, base: str = "base", **arguments: str) -> str:
    return Image(context=folder, base=base, arguments=arguments).digest


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda folder: (folder / "bin" / "serve").write_text("#!/bin/bash\n"),
    "name": lambda folder: (folder / "bin" / "serve").rename(folder / "bin" / "run"),
    "place": lambda folder: (folder / "bin" / "serve").rename(folder / "serve"),
    "new file": lambda folder: (folder / "bin" / "ready").touch(),
    "hidden file": lambda folder: (folder / ".dockerignore").touch(),
    "gone": lambda folder: (folder / "bin" / "serve").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_changes_the_digest(folder: Path, change: str) -> None:
    before = digest(folder)
    CHANGES[change](folder)
    assert digest(folder) != before


def test_a_changed_base_or_argument_changes_the_digest(folder: Path) -> None:
    assert len({digest(folder), digest(folder, "other"), digest(folder, VERSION="1"), digest(folder, VERSION="2")}) == 4


def test_the_order_of_the_arguments_does_not_change_the_digest(folder: Path) -> None:
    assert digest(folder, ONE="1", TWO="2") == digest(folder, TWO="2", ONE="1")


@pytest.mark.parametrize(
    "name",
    ["__pycache__/serve.cpython-311.pyc", "serve~", ".serve.swp", ".#serve", "serve.orig", "serve.rej", ".DS_Store"],
)
def test_files_of_tools_do_not_change_the_digest(folder: Path, name: str) -> None:
    before = digest(folder)
    (folder / "bin" / name).parent.mkdir(exist_ok=True)
    (folder / "bin" / name).touch()
    assert digest(folder) == before


@pytest.mark.parametrize("image", OWN_CONTEXT, ids=lambda folder: folder.name)
def test_files_outside_of_the_digest_are_not_in_the_image(image: Path) -> None:
    ignored = (image / ".dockerignore").read_text().splitlines()
    assert [line for line in ignored if not line.startswith("#")] == [f"**/{pattern}" for pattern in JUNK]


def test_the_build_context_of_mlflows_image_has_only_its_sources() -> None:
    image = PlatformArgs(images=IMAGES).image_builds["mlflow"]
    lines = [line for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    sent = {CHECKOUT / line.removeprefix("!") for line in lines if line.startswith("!")}
    assert lines == ["*", *(line for line in lines if line.startswith("!")), *(f"**/{pattern}" for pattern in JUNK)]
    built_from = {each for each in image.sources if each.name != ".dockerignore"}
    assert {each if each in sent else IMAGES / "mlflow" for each in built_from} == sent


def test_only_the_lock_file_of_the_version_changes_the_digest() -> None:
    def locks(version: str) -> set[str]:
        sources = PlatformArgs(images=IMAGES, mlflow=MlflowOptions(version=version)).image_builds["mlflow"].sources
        return {each.name for each in sources if each.parent.name == "locks"}

    assert (locks("3.6.0"), locks("3.17.2")) == ({"3.6.0.txt"}, {"3.17.2.txt"})


def test_a_missing_source_is_named(folder: Path) -> None:
    image = Image(context=folder, base="base", sources=[folder / "Dockerfile", folder / "nowhere"])
    with pytest.raises(FileNotFoundError, match="nowhere does not exist: an image is built from it"):
        _ = image.digest


def test_only_the_sources_count(folder: Path) -> None:
    image = Image(context=folder, base="base", sources=[folder / "Dockerfile"])
    before = image.digest
    (folder / "bin" / "serve").write_text("another")
    assert image.digest == before


@pytest.mark.parametrize("image", FOLDERS, ids=lambda folder: folder.name)
def test_an_image_copies_only_from_the_checkout_stage(image: Path) -> None:
    """A clone under `umask 077` gave images whose programs nobody could run, by the very tag of a good one."""
    lines = (image / "Dockerfile").read_text().splitlines()
    taken = [line for line in lines if line.startswith(("COPY", "ADD")) and "--from=" not in line]
    assert taken == ["COPY . /checkout"]


def test_the_digest_is_the_same_wherever_the_checkout_is(folder: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(folder, tmp_path / "another" / "place")
    assert digest(moved) == digest(folder), "else every clone builds every image anew"


def test_the_digest_is_the_same_whoever_made_the_checkout(folder: Path) -> None:
    before = digest(folder)
    for name, mode in (("", 0o700), ("bin", 0o2700), ("Dockerfile", 0o600), ("bin/serve", 0o755)):
        (folder / name).chmod(mode)
    assert digest(folder) == before, "who may read or run a file is for the Dockerfile to say"
    for path in (folder / "Dockerfile", folder / "bin" / "serve"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        os.utime(path, (0, 0))
    assert digest(folder) == before, "nor do times and line endings come into the image"


def test_the_digest_can_be_a_tag(folder: Path) -> None:
    assert re.fullmatch(r"[a-f0-9]{16}", digest(folder))


def test_the_base_image_is_passed_to_the_dockerfile(folder: Path) -> None:
    image = Image(context=folder, base="mine", arguments={"VERSION": "1"})
    assert image.build_arguments == {"BASE_IMAGE": "mine", "VERSION": "1"}


@pytest.mark.parametrize("missing", ["Dockerfile", "folder"])
def test_a_folder_without_a_dockerfile_is_refused_by_its_name(folder: Path, missing: str) -> None:
    (folder / "Dockerfile").unlink()
    where = folder if missing == "Dockerfile" else folder / "nowhere"
    message = f"{where} holds no Dockerfile: name the folder of the image to build"
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(message)}$"):
        digest(where)


def test_a_dockerfile_in_a_subfolder_does_not_count(folder: Path) -> None:
    (folder / "Dockerfile").rename(folder / "bin" / "Dockerfile")
    with pytest.raises(FileNotFoundError):
        digest(folder)
