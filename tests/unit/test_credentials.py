"""Raising credentialsVersion: every generated secret is made anew, who reads one starts anew, and the data stays."""

from __future__ import annotations

from typing import Any

import pytest

from .deploy import everything
from .fake_engine import CONTAINER, IMAGE, NETWORK, RANDOM_ID, RANDOM_PASSWORD, VOLUME, FakeEngine

LABEL = "mlflow-postgres.secrets"


@pytest.fixture
def before() -> FakeEngine:
    return everything(credentials_version=1)


@pytest.fixture
def after() -> FakeEngine:
    return everything(credentials_version=2)


def test_every_generated_secret_is_replaced(before: FakeEngine, after: FakeEngine) -> None:
    kept = {
        name
        for name, each in before.of(RANDOM_PASSWORD).items()
        if each.inputs.get("keepers") == after.registered[name].inputs.get("keepers")
    }
    assert kept == set(), "whoever saw the old one still comes in"
    assert len(before.of(RANDOM_PASSWORD)) == 6


def test_the_deployment_label_stays(before: FakeEngine, after: FakeEngine) -> None:
    marks = [[each.inputs for each in engine.of(RANDOM_ID).values()] for engine in (before, after)]
    assert marks[0] == marks[1], "everything on the engine would be an orphan, networks would be replaced"


def test_only_the_job_and_the_exporter_are_replaced(before: FakeEngine, after: FakeEngine) -> None:
    changed = {
        each.role
        for name, each in before.of(CONTAINER).items()
        if each.labels.get(LABEL) != after.registered[name].labels.get(LABEL)
    }
    assert changed == {"schema", "exporter"}, "a service that is made anew lets everybody wait"
    for role in ("postgres", "mlflow", "gateway", "gc"):
        states = [_but_for_secrets(engine.container(role).inputs) for engine in (before, after)]
        assert states[0] == states[1], role


def _but_for_secrets(inputs: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in inputs.items() if key != "uploads"}


def test_the_jobs_label_is_the_version_itself(after: FakeEngine) -> None:
    assert after.container("schema").labels[LABEL] == "2", "the look at the host compares it as a number"


def test_volumes_networks_and_images_stay_as_they_are(before: FakeEngine, after: FakeEngine) -> None:
    for kind in (VOLUME, NETWORK, IMAGE):
        states = [{name: each.inputs for name, each in engine.of(kind).items()} for engine in (before, after)]
        assert states[0] == states[1], kind


def test_the_server_encrypts_with_the_newest_key() -> None:
    server = everything().container("mlflow")
    assert {
        "MLFLOW_CRYPTO_KEK_VERSION_FILE": "/keys/current/version",
        "MLFLOW_CRYPTO_KEK_PASSPHRASE_FILE": "/keys/current/passphrase",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY_FILE": "/keys/webhooks",
    }.items() <= server.environment.items(), "without a file MLflow falls back to a passphrase that everybody knows"


@pytest.mark.parametrize("version", [1, 7])
def test_the_job_gets_the_credentials_version(version: int) -> None:
    job = everything(credentials_version=version).container("schema")
    assert job.environment["CREDENTIALS_VERSION"] == str(version)


def test_only_the_job_can_write_the_keys() -> None:
    engine = everything()
    mounts = {
        role: next(each for each in engine.container(role).inputs["mounts"] if each["target"] == "/keys")
        for role in ("mlflow", "schema")
    }
    assert {each["source"] for each in mounts.values()} == {"mlflow-postgres-dev-keys"}
    assert mounts["mlflow"]["readOnly"] is True
    assert not mounts["schema"].get("readOnly")
