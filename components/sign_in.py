"""MLflow's own sign-in: its administrator's password and the key of its forms. Both are generated."""

from __future__ import annotations

import pulumi
import pulumi_random as random

from contract import environment, paths

from .workload import SecretFile

ADMINISTRATOR = "admin"

# How long a worker remembers a password that was right, in seconds. Without it every request costs a password's hash.
_REMEMBERED = 60


class SignIn(pulumi.ComponentResource):
    """What the server and the job that makes the administrator need, to ask everybody who they are."""

    password: pulumi.Output[str]
    """The administrator's password. Always secret."""

    def __init__(self, name: str, *, version: int, opts: pulumi.ResourceOptions | None = None) -> None:
        """Generate both anew whenever `version` changes."""
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
        return ["--app-name", "basic-auth"]

    @property
    def administrator_environment(self) -> dict[str, str]:
        """Who the administrator is, and the file that the password is read from."""
        return {
            environment.ADMIN_USERNAME: ADMINISTRATOR,
            environment.ADMIN_PASSWORD_FILE: f"{paths.SECRETS}/{paths.ADMIN_PASSWORD}",
        }

    @property
    def job_environment(self) -> dict[str, str]:
        """For the job that makes the administrator, and that waits until a former password is forgotten."""
        return {**self.administrator_environment, environment.SIGN_IN_REMEMBERED: str(_REMEMBERED)}

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
        """Files of a server whose users are in the database at `store_uri`."""
        return [
            *self.administrator_files,
            SecretFile(name=paths.SECRET_KEY, content=self._key),
            SecretFile(name=paths.BASIC_AUTH, content=_configuration(store_uri)),
        ]


def _configuration(store_uri: str) -> str:
    return (
        "[mlflow]\n"
        f"database_uri = {store_uri}\n"
        # Whoever is signed in reads every experiment, and writes those that are theirs.
        "default_permission = READ\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        # Older versions want to be told something, and take the environment's word for it.
        "admin_password =\n"
        f"auth_cache_ttl_seconds = {_REMEMBERED}\n"
    )
