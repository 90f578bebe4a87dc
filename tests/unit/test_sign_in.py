"""MLflow's sign-in: who is told of it, and that nobody is unless it is asked for."""

from __future__ import annotations

from configparser import ConfigParser

import pytest

from .deploy import deploy, everything
from .fake_engine import SIGN_IN, generated

ME = "mlflow-postgres"
ADMINISTRATOR = {
    "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
    "MLFLOW_AUTH_ADMIN_PASSWORD_FILE": "/run/secrets/admin-password",
}


def delivered(role: str) -> dict[str, str]:
    return {each["file"]: each["content"] for each in everything().container(f"{role}-courier").inputs["uploads"]}


def test_with_sign_in_mlflow_requires_credentials() -> None:
    server = everything().container("mlflow")
    command = server.inputs["command"]
    assert command[command.index("--app-name") + 1] == "postgresql-basic-auth", "another one ignores the settings"
    assert server.environment["MLFLOW_AUTH_CONFIG_PATH"] == "/run/secrets/basic-auth.ini"
    assert server.environment["MLFLOW_FLASK_SERVER_SECRET_KEY_FILE"] == "/run/secrets/secret-key"
    assert delivered("mlflow")["/run/secrets/secret-key"] == generated(f"{ME}-sign-in-secret-key")


def test_users_are_in_the_servers_database() -> None:
    text = delivered("mlflow")["/run/secrets/basic-auth.ini"]
    parser = ConfigParser(interpolation=None)
    parser.read_string(text)
    assert parser["mlflow"]["database_uri"] == "postgresql+mlflow://mlflow@postgres:5432/mlflow", (
        "elsewhere every user would be gone with the container"
    )
    assert parser["mlflow"]["default_permission"] == "READ"
    assert parser["mlflow"].getint("auth_cache_ttl_seconds") == 60, "else every request costs a password's hash"
    assert parser["mlflow"]["authorization_function"].endswith(":authenticate_request_basic_auth")


@pytest.mark.parametrize("role", ["mlflow", "schema"])
def test_the_job_and_the_server_get_the_administrator(role: str) -> None:
    environment = everything().container(role).environment
    assert {key: environment.get(key) for key in ADMINISTRATOR} == ADMINISTRATOR
    assert delivered(role)["/run/secrets/admin-password"] == generated(f"{ME}-sign-in-admin-password")


def test_the_job_gets_the_setting_of_sign_in() -> None:
    told = [engine.container("schema").environment["SIGN_IN"] for engine in (everything(), deploy())]
    assert told == ["true", "false"], "it makes the users' tables, which the server's role may not"


def test_without_sign_in_there_are_no_sign_in_resources() -> None:
    engine = deploy()
    assert engine.of(SIGN_IN) == {}
    command = engine.container("mlflow").inputs["command"]
    assert command[command.index("--app-name") + 1] == "postgresql", "it answers the most frequent calls itself"
    for role in ("mlflow", "schema"):
        environment = engine.container(role).environment
        assert not [key for key in environment if key.startswith(("MLFLOW_AUTH", "MLFLOW_FLASK"))], role
        files = {each["file"] for each in engine.container(f"{role}-courier").inputs["uploads"]}
        assert files == {"/run/secrets/pgpass"}
