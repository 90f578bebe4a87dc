"""MLflow's basic authentication: the generated password of its administrator and the key that signs its forms."""

from __future__ import annotations

import pulumi
import pulumi_random as random

from contract import environment, paths

from ..engine.workload import SecretFile

ADMINISTRATOR = "admin"

# Seconds for which a worker caches a valid password. Without the cache, every request computes a password hash.
_CACHE_SECONDS = 60


class SignIn(pulumi.ComponentResource):
    """What the server and the schema job need for sign-in."""

    password: pulumi.Output[str]
    """The administrator's password. Always secret."""

    def __init__(self, name: str, *, version: int, opts: pulumi.ResourceOptions | None = None) -> None:
        """A change of `version` generates both secrets again."""
        super().__init__("mlflow-postgres:index:SignIn", name, None, opts)
        keepers = {"version": str(version)}
        child = pulumi.ResourceOptions(parent=self)
        password = random.RandomPassword(
            f"{name}-admin-password", length=32, special=False, keepers=keepers, opts=child
        )
        key = random.RandomPassword(f"{name}-secret-key", length=64, special=False, keepers=keepers, opts=child)
        self.password = pulumi.Output.secret(password.result)
        self._key: pulumi.Output[str] = pulumi.Output.secret(key.result)
        self.register_outputs({"password": self.password})

    @property
    def server_options(self) -> list[str]:
        return ["--app-name", "postgresql-basic-auth"]

    @property
    def administrator_environment(self) -> dict[str, str]:
        """The administrator's name, and the file of the password."""
        return {
            environment.ADMIN_USERNAME: ADMINISTRATOR,
            environment.ADMIN_PASSWORD_FILE: f"{paths.SECRETS}/{paths.ADMIN_PASSWORD}",
        }

    @property
    def job_environment(self) -> dict[str, str]:
        """For the schema job: it creates the administrator, and waits until no worker caches a former password."""
        return {**self.administrator_environment, environment.SIGN_IN_REMEMBERED: str(_CACHE_SECONDS)}

    @property
    def administrator_files(self) -> list[SecretFile]:
        return [SecretFile(name=paths.ADMIN_PASSWORD, content=self.password)]

    @property
    def server_environment(self) -> dict[str, str]:
        return {
            **self.administrator_environment,
            environment.AUTH_CONFIG_PATH: f"{paths.SECRETS}/{paths.BASIC_AUTH}",
            environment.FLASK_SECRET_KEY_FILE: f"{paths.SECRETS}/{paths.SECRET_KEY}",
        }

    def server_files(self, store_uri: str) -> list[SecretFile]:
        """For a server whose users are in the database at `store_uri`."""
        return [
            *self.administrator_files,
            SecretFile(name=paths.SECRET_KEY, content=self._key),
            SecretFile(name=paths.BASIC_AUTH, content=_configuration(store_uri)),
        ]


def _configuration(store_uri: str) -> str:
    return (
        "[mlflow]\n"
        f"database_uri = {store_uri}\n"
        # A user reads every experiment, and writes those that they created.
        "default_permission = READ\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        # Older versions require the key. The environment's value takes precedence.
        "admin_password =\n"
        f"auth_cache_ttl_seconds = {_CACHE_SECONDS}\n"
    )
