"""MLflow as it comes, beside a stack: of the same version, on psycopg2 and on SQLite."""

from __future__ import annotations

import base64

import requests

from ..harness import free_ports
from ..old_databases import Database
from .answers import Server
from .calls import V2

ADMINISTRATOR, PASSWORD = "admin", "a-password-of-the-sweep"
SIGN_IN = f"""[mlflow]
database_uri = %s
default_permission = READ
admin_username = {ADMINISTRATOR}
admin_password = {PASSWORD}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""
# The image's Python finds our dialect and our store in this package; without it, there is MLflow alone.
PREPARE = """
set -eu
pip uninstall --quiet --yes --root-user-action=ignore mlflow-postgres
pip install --quiet --disable-pip-version-check --root-user-action=ignore psycopg2-binary
"""
START = """
mkdir -p /home/mlflow /tmp/$NAME
printf '%s' "$SIGN_IN" > /tmp/$NAME/sign-in.ini
cd /home/mlflow
exec mlflow server --backend-store-uri "$STORE" --artifacts-destination /tmp/$NAME/artifacts --app-name basic-auth \
  --host 127.0.0.1 --port "$PORT" --workers 1
"""


def signed_in(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{ADMINISTRATOR}:{password}".encode()).decode()}


def started(there: Database, name: str, store: str) -> Server:
    """A server of MLflow's own on a store."""
    (port,) = free_ports(1)
    environment = {
        "NAME": name,
        "STORE": store,
        "PORT": str(port),
        "SIGN_IN": SIGN_IN % store.replace("mlflow.db", "users.db").replace("%", "%%"),
        "MLFLOW_AUTH_CONFIG_PATH": f"/tmp/{name}/sign-in.ini",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a-key",
        "MLFLOW_CRYPTO_KEK_PASSPHRASE": "a-passphrase",
    }
    there.client.exec_run(["sh", "-c", START], environment=environment, detach=True)
    return Server(f"http://127.0.0.1:{port}", signed_in(PASSWORD))


def answers(server: Server) -> bool:
    try:
        said = requests.get(f"{server.url}{V2}/users/current", headers=server.headers, timeout=10)
    except requests.RequestException:
        return False
    return said.ok
