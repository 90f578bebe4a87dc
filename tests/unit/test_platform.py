"""The platform as a whole: its resources, their family, their names, its volumes. Values of services are elsewhere."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from components import PostgresOptions

from .deploy import EVERYTHING, deploy, everything, services
from .fake_engine import (
    ADMINER,
    CONTAINER,
    DEPLOYMENT,
    EXPORTER,
    GATEWAY,
    HOUSEKEEPING,
    IMAGE,
    MLFLOW,
    NETWORK,
    PLATFORM,
    POSTGRES,
    RANDOM_ID,
    RANDOM_PASSWORD,
    SCHEMA,
    SIGN_IN,
    VOLUME,
    FakeEngine,
)

SECRETIVE = ("postgres", "schema", "mlflow", "exporter", "gateway", "gc")
ME = "mlflow-postgres"
DATA = {f"{ME}-{name}" for name in ("postgres-data", "schema-backups", "schema-keys", "mlflow-artifacts")}
MARKS = {f"mlflow-postgres.{mark}" for mark in ("stack", "role", "deployment")}


def test_a_platform_with_everything_is_these_resources_and_no_other() -> None:
    engine = everything()
    assert {(name, each.type) for name, each in engine.registered.items()} == {
        (ME, PLATFORM),
        (f"{ME}-deployment", RANDOM_ID),
        (f"{ME}-tracking", NETWORK),
        (f"{ME}-database", NETWORK),
        (f"{ME}-published", NETWORK),
        (f"{ME}-metrics", NETWORK),
        (f"{ME}-postgres", POSTGRES),
        (f"{ME}-postgres-owner-password", RANDOM_PASSWORD),
        (f"{ME}-postgres-password", RANDOM_PASSWORD),
        (f"{ME}-postgres-readonly-password", RANDOM_PASSWORD),
        (f"{ME}-postgres-monitor-password", RANDOM_PASSWORD),
        (f"{ME}-postgres-data", VOLUME),
        (f"{ME}-postgres-image", IMAGE),
        *served(f"{ME}-postgres-server"),
        (f"{ME}-sign-in", SIGN_IN),
        (f"{ME}-sign-in-admin-password", RANDOM_PASSWORD),
        (f"{ME}-sign-in-secret-key", RANDOM_PASSWORD),
        (f"{ME}-schema", SCHEMA),
        (f"{ME}-schema-backups", VOLUME),
        (f"{ME}-schema-keys", VOLUME),
        *served(f"{ME}-schema-job"),
        (f"{ME}-mlflow", MLFLOW),
        (f"{ME}-mlflow-artifacts", VOLUME),
        (f"{ME}-mlflow-image", IMAGE),
        *served(f"{ME}-mlflow-server"),
        (f"{ME}-adminer", ADMINER),
        (f"{ME}-adminer-image", IMAGE),
        (f"{ME}-adminer-server", CONTAINER),
        (f"{ME}-exporter", EXPORTER),
        (f"{ME}-exporter-image", IMAGE),
        *served(f"{ME}-exporter-server"),
        (f"{ME}-gateway", GATEWAY),
        (f"{ME}-gateway-data", VOLUME),
        (f"{ME}-gateway-image", IMAGE),
        *served(f"{ME}-gateway-server"),
        (f"{ME}-housekeeping", HOUSEKEEPING),
        *served(f"{ME}-housekeeping-server"),
    }, "a logical name is a promise: a changed one replaces the resource, and a replaced volume is lost data"


def served(name: str) -> set[tuple[str, str]]:
    """A container, and what brings it its secrets."""
    return {(name, CONTAINER), (f"{name}-courier", CONTAINER), (f"{name}-secrets", VOLUME)}


def test_services_that_are_off_do_not_exist() -> None:
    absent = {name for name in everything().registered if name not in deploy().registered}
    assert {name.removeprefix(f"{ME}-") for name in absent} == {
        "published",
        *("adminer", "adminer-image", "adminer-server"),
        *("sign-in", "sign-in-admin-password", "sign-in-secret-key"),
        *("metrics", "postgres-monitor-password", "exporter", "exporter-image"),
        *(f"exporter-server{what}" for what in ("", "-courier", "-secrets")),
        *("gateway", "gateway-data", "gateway-image"),
        *(f"gateway-server{what}" for what in ("", "-courier", "-secrets")),
        *("housekeeping", *(f"housekeeping-server{what}" for what in ("", "-courier", "-secrets"))),
    }


def test_every_resource_has_the_parent_that_it_belongs_to() -> None:
    engine = everything()
    family = {name: each.parent for name, each in engine.registered.items()}
    parts = components(engine) - {ME}
    # Built once for two components, so a child of neither.
    shared = parts | {*engine.of(NETWORK), f"{ME}-deployment", f"{ME}-mlflow-image"}
    assert family == {
        ME: "mlflow-postgres-dev",
        **{name: part for part in parts for name in family if name.startswith(f"{part}-") and name not in shared},
        **dict.fromkeys(shared, ME),
    }, "a child beside its component is not deleted, aliased or waited for with it"


def components(engine: FakeEngine) -> set[str]:
    return {name for name, each in engine.registered.items() if each.type.startswith("mlflow-postgres:index:")}


def test_every_component_registers_its_outputs_once() -> None:
    engine = everything()
    said = Counter({name: len(outputs) for name, outputs in engine.outputs.items() if name in engine.registered})
    assert said == Counter(components(engine)), "without register_outputs Pulumi shows it as unfinished"


def test_the_objects_on_the_host_are_named_after_project_stack_and_role() -> None:
    engine = everything()
    # A volume of secrets is also named after the set of its files.
    named = {
        re.sub("-secrets-[0-9a-f]{8}$", "-secrets", each.inputs["name"])
        for each in engine.of(CONTAINER, NETWORK, VOLUME).values()
    }
    roles = {
        *services(engine),
        *("tracking", "database", "published", "metrics"),
        *("postgres-data", "backups", "keys", "mlflow-artifacts", "gateway-data"),
        *(f"{role}-{what}" for role in SECRETIVE for what in ("courier", "secrets")),
    }
    assert named == {f"mlflow-postgres-dev-{role}" for role in roles}, "other stacks and `make forget` go by the name"


def test_images_are_named_after_the_stack_the_role_and_their_content() -> None:
    engine = everything()
    names = {each.inputs["name"] for each in engine.of(IMAGE).values()}
    assert {name.rpartition(":")[0] for name in names} == {
        f"mlflow-postgres-dev/{role}" for role in EVERYTHING.image_builds
    }
    for image in engine.of(IMAGE).values():
        assert image.inputs["build"]["tags"] == [image.inputs["name"]], "else the build would carry no name to find"


def test_every_object_has_the_labels_of_stack_and_deployment() -> None:
    engine = everything()
    for each in engine.of(CONTAINER, NETWORK).values():
        role = each.inputs["name"].removeprefix("mlflow-postgres-dev-")
        own = {key: value for key, value in each.labels.items() if key in MARKS}
        assert own == {
            "mlflow-postgres.stack": "mlflow-postgres-dev",
            "mlflow-postgres.role": role,
            "mlflow-postgres.deployment": DEPLOYMENT,
        }, "an orphan without these cannot be told from somebody else's container"


def test_volumes_have_no_deployment_label() -> None:
    engine = everything(postgres=PostgresOptions(port=5432, version="16"))
    expected = {
        each.inputs["name"]: {
            "mlflow-postgres.stack": "mlflow-postgres-dev",
            "mlflow-postgres.role": each.inputs["name"].removeprefix("mlflow-postgres-dev-"),
        }
        for each in engine.of(VOLUME).values()
    }
    expected["mlflow-postgres-dev-postgres-data"]["mlflow-postgres.postgres-major"] = "16"
    assert {each.inputs["name"]: each.labels for each in engine.of(VOLUME).values()} == expected


@pytest.mark.parametrize("keep", [True, False])
def test_volumes_are_retained_exactly_when_the_data_is_kept(keep: bool) -> None:
    engine = everything(keep_data=keep)
    kept = {name for name, each in engine.registered.items() if each.request.retainOnDelete}
    volumes = {*DATA, f"{ME}-gateway-data"}
    assert kept == (volumes if keep else set()), "data outlives everything but an explicit order, and nothing else does"


@pytest.mark.parametrize("protect", [True, False])
def test_the_data_is_protected_exactly_when_it_is_configured(protect: bool) -> None:
    engine = everything(protect_data=protect)
    protected = {name for name, each in engine.registered.items() if each.request.protect}
    assert protected == (DATA if protect else set()), "a protected container could not be replaced any more"


def test_a_new_label_does_not_replace_a_volume() -> None:
    engine = everything()
    for each in engine.registered.values():
        ignored = {"labels", "driver", "driverOpts"} if each.type == VOLUME else set()
        assert set(each.request.ignoreChanges) == ignored, f"{each.name}: a replaced volume is lost data"
