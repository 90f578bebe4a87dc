"""MLflow's own sign-in: its administrator's password and the key of its forms. Both are generated."""

from __future__ import annotations

import pulumi
import pulumi_random as random

from .workload import SECRETS, SecretFile

ADMINISTRATOR = "admin"

# How long a worker remembers a password that was right, in seconds. Without it every request costs a password's hash.
_REMEMBERED = 60

_PASSWORD_FILE = "admin-password"
_KEY_FILE = "secret-key"
_CONFIGURATION_FILE = "basic-auth.ini"


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
            "MLFLOW_AUTH_ADMIN_USERNAME": ADMINISTRATOR,
            "MLFLOW_AUTH_ADMIN_PASSWORD_FILE": f"{SECRETS}/{_PASSWORD_FILE}",
        }

    @property
    def job_environment(self) -> dict[str, str]:
        """For the job that makes the administrator, and that waits until a former password is forgotten."""
        return {**self.administrator_environment, "SIGN_IN_REMEMBERED": str(_REMEMBERED)}

    @property
    def administrator_files(self) -> list[SecretFile]:
        return [SecretFile(name=_PASSWORD_FILE, content=self.password)]

    @property
    def server_environment(self) -> dict[str, str]:
        return {
            **self.administrator_environment,
            "MLFLOW_AUTH_CONFIG_PATH": f"{SECRETS}/{_CONFIGURATION_FILE}",
            "MLFLOW_FLASK_SERVER_SECRET_KEY_FILE": f"{SECRETS}/{_KEY_FILE}",
        }

    def server_files(self, store_uri: str) -> list[SecretFile]:
        """Files of a server whose users are in the database at `store_uri`."""
        return [
            *self.administrator_files,
            SecretFile(name=_KEY_FILE, content=self._key),
            SecretFile(name=_CONFIGURATION_FILE, content=_configuration(store_uri)),
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
