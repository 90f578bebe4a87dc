"""What a container is told is what its image reads: names of variables, files and folders on both sides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from mlflow_postgres.migration.job import BACKUPS, KEYS, job_of
from mlflow_postgres.runtime import secret_files

from .deploy import IMAGES, endpoint, everything

DELIVERED = re.compile(r"/run/secrets/([A-Za-z-]+(?:\.[a-z]+)?)")


def text_of(image: str) -> str:
    """Everything that an image's folder says, lock files aside."""
    files = [path for path in (IMAGES / image).rglob("*") if path.is_file() and path.suffix in ("", ".py", ".sql")]
    return "\n".join(path.read_text() for path in files)


def given(role: str) -> set[str]:
    return set(everything().container(role).environment)


def brought(role: str) -> set[str]:
    uploads = everything().container(f"{role}-courier").inputs["uploads"]
    return {each["file"].removeprefix("/run/secrets/") for each in uploads}


def test_postgresqls_scripts_read_exactly_the_variables_of_its_container() -> None:
    assert set(re.findall(r"\bMLFLOW_POSTGRES_[A-Z_]*[A-Z]", text_of("postgres"))) == given("postgres"), (
        "a script that reads a name that nobody gives stops at `set -u`"
    )


def test_postgresqls_scripts_read_the_password_files_of_its_courier() -> None:
    text = text_of("postgres")
    names = re.findall(r"/run/secrets/\{([a-z,]+)\}-password", text)
    assert names, "the script says which files it reads"
    assert {f"{name}-password" for each in names for name in each.split(",")} == brought("postgres")
    assert "/run/secrets/$name-password" in text


class Read(dict[str, str]):
    """An environment that remembers which names were looked up."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__(environment)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def test_the_job_reads_exactly_the_variables_of_its_container() -> None:
    told = Read(everything().container("schema").environment)
    job_of(told, "3.17.2")
    # libpq reads the pass file; MLflow looks up the secrets, each in the file that is named.
    secrets = {f"{name}_FILE" for name in secret_files.NAMES}
    assert set(told) - told.names - {"PGPASSFILE"} <= secrets | {"MLFLOW_AUTH_CONFIG_PATH"}, (
        "a renamed variable would leave a default in force without a word"
    )


def test_the_jobs_folders_are_mounted_volumes() -> None:
    mounted = everything().container("schema").mounted
    assert {str(BACKUPS), str(KEYS)} <= set(mounted), "into a read-only root it could not write"


def test_names_of_secret_files_are_those_that_the_image_reads() -> None:
    told = {
        name.removesuffix("_FILE")
        for role in ("mlflow", "schema")
        for name in given(role)
        if name.startswith("MLFLOW_") and name.endswith("_FILE")
    }
    known = set(secret_files.NAMES) - {secret_files.GATEWAY_TOKEN}
    assert told == known, "MLflow reads these from its environment only, which may not hold them"


def test_the_gateways_probe_reads_the_variables_of_its_container() -> None:
    assert set(re.findall(r"\bGATEWAY_[A-Z]+", text_of("gateway"))) == given("gateway")


def test_caddy_reads_the_files_of_its_courier() -> None:
    uploads = everything(endpoint=endpoint()).container("gateway-courier").inputs["uploads"]
    (configuration,) = (each["content"] for each in uploads if each["file"].endswith("/Caddyfile"))
    assert {*DELIVERED.findall(configuration), "Caddyfile"} == brought("gateway")
    assert "/run/secrets/Caddyfile" in text_of("gateway")


@pytest.mark.parametrize(("image", "roles"), [("mlflow", ("mlflow", "schema")), ("gateway", ("gateway",))])
def test_a_volume_inherits_the_owner_of_its_folder_in_the_image(image: str, roles: tuple[str, ...]) -> None:
    text = (IMAGES / image / "Dockerfile").read_text()
    folders = {folder for role in roles for folder in everything().container(role).mounted} - {"/run/secrets"}
    for folder in folders:
        line = next((line for line in text.splitlines() if re.search(rf"(chown|-o) 65534\b.*{folder}\b", line)), None)
        assert line, f"{folder}: else a new volume is root's, and nobody here is root"
