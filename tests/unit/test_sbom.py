"""The bills of materials that are committed: one for each lock file, with what the lock holds and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from .deploy import IMAGES

LOCKS = sorted((IMAGES / "mlflow" / "locks").glob("*.txt"))


def bill_of(lock: Path) -> dict[str, Any]:
    path = lock.with_suffix(".cdx.json")
    assert path.exists(), f"{path.name} is missing. Mend it with: make sbom"
    bill: dict[str, Any] = json.loads(path.read_text())
    return bill


def hashes_of(component: dict[str, Any]) -> set[str]:
    return {
        f"{each['alg'].lower().replace('-', '')}:{each['content']}"
        for reference in component["externalReferences"]
        for each in reference["hashes"]
    }


def packages_of(lock: Path) -> dict[tuple[str, str], set[str]]:
    """The hashes of every package and version that pip would install by the lock."""
    found: dict[tuple[str, str], set[str]] = {}
    for entry in re.split(r"^(?=[a-z0-9])", lock.read_text(), flags=re.MULTILINE)[1:]:
        name, _, version = entry.split()[0].partition("==")
        found[name, version] = set(re.findall(r"--hash=(\S+)", entry))
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_the_bill_of_a_lock_names_exactly_its_packages(lock: Path) -> None:
    components = bill_of(lock)["components"]
    listed = {(each["name"], each["version"]): hashes_of(each) for each in components}
    assert listed == packages_of(lock), "the lock has changed since. Mend it with: make sbom"
    assert len(components) == len(listed), "nothing is in it twice"
    for each in components:
        assert each["purl"].startswith(f"pkg:pypi/{each['name']}@{each['version']}"), "what scanners look it up by"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_the_bill_says_which_image_it_is_of_and_is_the_same_every_time(lock: Path) -> None:
    bill = bill_of(lock)
    root = bill["metadata"]["component"]
    assert (root["name"], root["version"]) == ("mlflow-postgres/mlflow", lock.stem)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert "serialNumber" not in bill
    assert "timestamp" not in bill["metadata"]


def test_no_bill_is_left_of_a_lock_that_is_gone() -> None:
    bills = {path.name for path in (IMAGES / "mlflow" / "locks").glob("*.cdx.json")}
    assert bills == {f"{lock.stem}.cdx.json" for lock in LOCKS}
