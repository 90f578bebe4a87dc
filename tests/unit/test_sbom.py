"""The SBOM that `make sbom` writes: it lists what the lock file lists, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .deploy import CHECKOUT, IMAGES

LOCKS = sorted((IMAGES / "mlflow" / "locks").glob("*.txt"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the SBOM of every lock file."""
    path = tmp_path_factory.mktemp("sbom") / "dist"
    subprocess.run([sys.executable, CHECKOUT / "docs" / "sbom.py", path, *LOCKS], check=True)
    return path


def sbom_of(lock: Path, folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / f"mlflow-{lock.stem}.cdx.json").read_text())
    return document


def hashes_of(component: dict[str, Any]) -> set[str]:
    return {
        f"{each['alg'].lower().replace('-', '')}:{each['content']}"
        for reference in component["externalReferences"]
        for each in reference["hashes"]
    }


def packages_of(lock: Path) -> dict[tuple[str, str], set[str]]:
    """The hashes of every package and version that pip would install from the lock file."""
    packages: dict[tuple[str, str], set[str]] = {}
    for entry in re.split(r"^(?=[a-z0-9])", lock.read_text(), flags=re.MULTILINE)[1:]:
        name, _, version = entry.split()[0].partition("==")
        packages[name, version] = set(re.findall(r"--hash=(\S+)", entry))
    return packages


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_the_sbom_lists_exactly_the_packages_of_the_lock_file(lock: Path, folder: Path) -> None:
    components = sbom_of(lock, folder)["components"]
    assert {(each["name"], each["version"]): hashes_of(each) for each in components} == packages_of(lock)
    assert len(components) == len(packages_of(lock)), "a package is listed twice"
    for each in components:
        assert each["purl"].startswith(f"pkg:pypi/{each['name']}@{each['version']}"), (
            "scanners look packages up by purl"
        )


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_the_sbom_names_its_image_and_is_reproducible(lock: Path, folder: Path) -> None:
    document = sbom_of(lock, folder)
    root = document["metadata"]["component"]
    assert (root["name"], root["version"]) == ("mlflow-postgres/mlflow", lock.stem)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert "serialNumber" not in document
    assert "timestamp" not in document["metadata"]


def test_the_sboms_stay_outside_the_tree_that_git_tracks(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {f"mlflow-{lock.stem}.cdx.json" for lock in LOCKS}
    recipe = (CHECKOUT / "Makefile").read_text().partition("\nsbom:")[2].partition("\n\n")[0]
    assert "docs/sbom.py dist " in recipe
    assert "/dist/" in (CHECKOUT / ".gitignore").read_text().splitlines()
