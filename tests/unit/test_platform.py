"""The platform as a whole: its resources, their family, their names, its networks. Values of services are elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from .deploy import deploy, everything
from .fake_engine import (
    ADMINER,
    CONTAINER,
    DEPLOYMENT,
    IMAGE,
    MLFLOW,
    NETWORK,
    PLATFORM,
    POSTGRES,
    RANDOM_ID,
    RANDOM_PASSWORD,
    VOLUME,
)

COMPONENTS = (PLATFORM, POSTGRES, MLFLOW, ADMINER)
ME = "mlflow-postgres"


def names(urns: Iterable[str]) -> set[str]:
    return {urn.rpartition("::")[2] for urn in urns}


def test_a_platform_with_everything_is_these_resources_and_no_other() -> None:
    engine = everything()
    assert {(name, each.type) for name, each in engine.registered.items()} == {
        (ME, PLATFORM),
        (f"{ME}-deployment", RANDOM_ID),
        (f"{ME}-tracking", NETWORK),
        (f"{ME}-database", NETWORK),
        (f"{ME}-published", NETWORK),
        (f"{ME}-postgres", POSTGRES),
        (f"{ME}-postgres-password", RANDOM_PASSWORD),
        (f"{ME}-postgres-data", VOLUME),
        (f"{ME}-postgres-image", IMAGE),
        (f"{ME}-postgres-server", CONTAINER),
        (f"{ME}-mlflow", MLFLOW),
        (f"{ME}-mlflow-artifacts", VOLUME),
        (f"{ME}-mlflow-image", IMAGE),
        (f"{ME}-mlflow-server", CONTAINER),
        (f"{ME}-adminer", ADMINER),
        (f"{ME}-adminer-image", IMAGE),
        (f"{ME}-adminer-server", CONTAINER),
    }, "a logical name is a promise: a changed one replaces the resource, and a replaced volume is lost data"


def test_what_is_not_switched_on_is_not_there() -> None:
    engine = deploy()
    absent = {f"{ME}-published", f"{ME}-adminer", f"{ME}-adminer-image", f"{ME}-adminer-server"}
    assert not absent & set(engine.registered)
    assert len(engine.registered) == 13, "the platform without Adminer and without a database port"


def test_every_resource_has_the_parent_that_it_belongs_to() -> None:
    engine = everything()
    stack = "mlflow-postgres-dev"
    family = {name: each.parent for name, each in engine.registered.items()}
    assert family == {
        ME: stack,
        **dict.fromkeys([f"{ME}-{part}" for part in ("deployment", "tracking", "database", "published")], ME),
        **dict.fromkeys([f"{ME}-{part}" for part in ("postgres", "mlflow", "adminer")], ME),
        **{name: f"{ME}-postgres" for name in family if name.startswith(f"{ME}-postgres-")},
        **{name: f"{ME}-mlflow" for name in family if name.startswith(f"{ME}-mlflow-")},
        **{name: f"{ME}-adminer" for name in family if name.startswith(f"{ME}-adminer-")},
    }, "a child beside its component is not deleted, aliased or waited for with it"


def test_every_component_says_once_that_it_is_complete() -> None:
    engine = everything()
    said = Counter({name: len(outputs) for name, outputs in engine.outputs.items() if name in engine.registered})
    assert said == Counter(engine.of(*COMPONENTS).keys()), "without register_outputs Pulumi shows it as unfinished"


def test_the_objects_on_the_host_are_named_after_project_stack_and_role() -> None:
    engine = everything()
    named = {each.inputs["name"] for each in engine.of(CONTAINER, NETWORK, VOLUME).values()}
    roles = {"postgres", "mlflow", "adminer", "tracking", "database", "published", "postgres-data", "mlflow-artifacts"}
    assert named == {f"mlflow-postgres-dev-{role}" for role in roles}, "other stacks and `make forget` go by the name"


def test_images_are_named_after_the_stack_the_role_and_their_content() -> None:
    engine = everything()
    names = {each.inputs["name"] for each in engine.of(IMAGE).values()}
    assert {name.rpartition(":")[0] for name in names} == {
        "mlflow-postgres-dev/postgres",
        "mlflow-postgres-dev/mlflow",
        "mlflow-postgres-dev/adminer",
    }
    for image in engine.of(IMAGE).values():
        assert image.inputs["build"]["tags"] == [image.inputs["name"]], "else the build would carry no name to find"


def test_every_object_says_which_stack_made_it_and_in_which_life() -> None:
    engine = everything()
    for each in engine.of(CONTAINER, NETWORK).values():
        role = each.inputs["name"].removeprefix("mlflow-postgres-dev-")
        own = {key: value for key, value in each.labels.items() if not key.endswith(".probe")}
        assert own == {
            "mlflow-postgres.stack": "mlflow-postgres-dev",
            "mlflow-postgres.role": role,
            "mlflow-postgres.deployment": DEPLOYMENT,
        }, "an orphan without these cannot be told from somebody else's container"


def test_volumes_carry_no_mark_of_one_life_for_they_outlive_it() -> None:
    engine = everything(postgres_major=16)
    assert {name: each.labels for name, each in engine.of(VOLUME).items()} == {
        f"{ME}-postgres-data": {
            "mlflow-postgres.stack": "mlflow-postgres-dev",
            "mlflow-postgres.role": "postgres-data",
            "mlflow-postgres.postgres-major": "16",
        },
        f"{ME}-mlflow-artifacts": {
            "mlflow-postgres.stack": "mlflow-postgres-dev",
            "mlflow-postgres.role": "mlflow-artifacts",
        },
    }


def test_only_the_database_network_has_no_way_out() -> None:
    engine = everything()
    internal = {name for name, each in engine.of(NETWORK).items() if each.inputs["internal"]}
    assert internal == {f"{ME}-database"}, "closed by default, and MLflow still reaches its artifacts' stores"


@pytest.mark.parametrize(
    ("port", "networks"), [(None, {"database"}), (5432, {"database", "published"})], ids=["inside", "published"]
)
def test_the_database_is_on_a_network_with_a_way_out_only_when_it_is_published(
    port: int | None, networks: set[str]
) -> None:
    engine = deploy(postgres_port=port)
    joined = {each["name"] for each in engine.container("postgres").inputs["networksAdvanced"]}
    assert joined == {f"mlflow-postgres-dev-{network}" for network in networks}


@pytest.mark.parametrize("role", ["mlflow", "adminer"])
def test_who_uses_the_database_is_on_its_network_and_on_the_tracking_network(role: str) -> None:
    engine = everything()
    joined = {each["name"] for each in engine.container(role).inputs["networksAdvanced"]}
    assert joined == {"mlflow-postgres-dev-tracking", "mlflow-postgres-dev-database"}


def test_mlflow_starts_after_the_database_is_ready_and_its_image_is_built_in_the_meantime() -> None:
    engine = everything()
    server = f"{ME}-postgres-server"
    after = {name for name, each in engine.registered.items() if server in names(each.request.dependencies)}
    assert after == {f"{ME}-mlflow-server"}, "without its database MLflow does not start; an image needs no database"


@pytest.mark.parametrize("keep", [True, False])
def test_the_two_volumes_are_left_on_the_host_exactly_when_the_data_is_to_be_kept(keep: bool) -> None:
    engine = everything(keep_data=keep)
    kept = {name for name, each in engine.registered.items() if each.request.retainOnDelete}
    volumes = {f"{ME}-postgres-data", f"{ME}-mlflow-artifacts"}
    assert kept == (volumes if keep else set()), "data outlives everything but an explicit order, and nothing else does"


def test_a_new_label_does_not_replace_a_volume() -> None:
    engine = everything()
    for each in engine.registered.values():
        ignored = {"labels", "driver"} if each.type == VOLUME else set()
        assert set(each.request.ignoreChanges) == ignored, f"{each.name}: a replaced volume is lost data"
