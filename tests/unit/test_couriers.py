"""The couriers: containers that never start, and bring the secret files into a volume that their readers mount."""

from __future__ import annotations

import re

import pytest

from .deploy import everything
from .fake_engine import CONTAINER, Registration

READERS = {"postgres": 999, **dict.fromkeys(("schema", "mlflow", "gateway", "gc", "exporter"), 65534)}


def courier(role: str) -> Registration:
    return everything().container(f"{role}-courier")


def test_exactly_the_readers_of_secrets_have_a_courier() -> None:
    couriers = {each.role for each in everything().of(CONTAINER).values() if each.role.endswith("-courier")}
    assert couriers == {f"{role}-courier" for role in READERS}, "whoever opens Adminer types the password"


def test_only_couriers_get_uploads() -> None:
    handed = {each.role for each in everything().of(CONTAINER).values() if each.inputs.get("uploads")}
    assert handed == {f"{role}-courier" for role in READERS}, (
        "the engine writes into no container whose root is read-only"
    )


@pytest.mark.parametrize("role", READERS)
def test_a_courier_is_never_started_nor_required_to_run(role: str) -> None:
    inputs = courier(role).inputs
    assert (inputs["start"], inputs["mustRun"]) == (False, False), "the next refresh would start it or make it anew"
    assert inputs["command"] == ["true"], "and if somebody starts it, nothing happens"
    assert inputs.get("restart", "no") == "no"
    assert courier(role).labels["mlflow-postgres.kind"] == "courier", "`make up` would remove what does not run"


@pytest.mark.parametrize("role", READERS)
def test_a_courier_has_no_network(role: str) -> None:
    inputs = courier(role).inputs
    assert inputs["networkMode"] == "none"
    assert {"networksAdvanced", "ports", "envs"} & set(inputs) == set()


@pytest.mark.parametrize("role", READERS)
def test_a_courier_has_neither_a_user_nor_a_read_only_root(role: str) -> None:
    inputs = courier(role).inputs
    assert {"user", "readOnly"} & set(inputs) == set(), (
        "with a user the engine gives files to that name as the host knows it; into a read-only root it writes none"
    )


@pytest.mark.parametrize("role", READERS)
def test_only_its_reader_can_read_a_secret_file(role: str) -> None:
    owner = str(READERS[role])
    for upload in courier(role).inputs["uploads"]:
        found = (upload["permissions"], upload["owner"], upload["group"])
        assert found == ("0400", owner, owner), (
            f"{upload['file']}: the reader is no root and reads only what is its own"
        )


@pytest.mark.parametrize("role", READERS)
def test_the_reader_mounts_the_couriers_volume_read_only(role: str) -> None:
    volume = courier(role).mounted["/run/secrets"]
    assert re.fullmatch(rf"mlflow-postgres-dev-{role}-secrets-[0-9a-f]{{8}}", volume)
    assert courier(role).mounted == {"/run/secrets": volume}
    assert not courier(role).inputs["mounts"][0].get("readOnly")
    (mount,) = (each for each in everything().container(role).inputs["mounts"] if each["target"] == "/run/secrets")
    assert mount == {"type": "volume", "source": volume, "target": "/run/secrets", "readOnly": True}
    assert all(upload["file"].startswith("/run/secrets/") for upload in courier(role).inputs["uploads"])


@pytest.mark.parametrize("role", READERS)
def test_the_reader_depends_on_its_courier(role: str) -> None:
    assert courier(role).name in everything().container(role).waits_for


@pytest.mark.parametrize("role", READERS)
def test_a_courier_needs_no_image_of_its_own(role: str) -> None:
    image = {urn.rpartition("::")[2] for urn in courier(role).request.propertyDependencies["image"].urns}
    own = everything().container(role).request.propertyDependencies["image"].urns
    assert image == {urn.rpartition("::")[2] for urn in own}


def test_nobody_mounts_the_secrets_of_another() -> None:
    mounting = {
        (each.role, volume.rpartition("-")[0])
        for each in everything().of(CONTAINER).values()
        for volume in each.mounted.values()
        if "-secrets-" in volume
    }
    own = {(f"{role}{kind}", f"mlflow-postgres-dev-{role}-secrets") for role in READERS for kind in ("", "-courier")}
    assert mounting == own
