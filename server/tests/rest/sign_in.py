"""Run in a process of its own, since MLflow's sign-in stays: every user asks both sides every call."""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import sqlalchemy
from werkzeug.security import generate_password_hash

from ..postgresql import Server

API = "/api/2.0/mlflow"
UI = "/ajax-api/2.0/mlflow"
TRACES = "/api/3.0/mlflow/traces"
PASSWORD = "a long password"
USERS = ("admin", "alice", "bob", "carol", "dave", "erin", "frank", "heidi")
MODELS = ("open", "hers")
ANOTHER = "another long password"
_OF_THE_TEAM = "WHERE role_id IN (SELECT id FROM roles WHERE name = 'team')"
CHANGES = {
    "a permission is revoked and given again": (
        1,
        "alice",
        [
            ["UPDATE role_permissions SET permission = 'READ' WHERE resource_pattern = '{experiment}'"],
            ["UPDATE role_permissions SET permission = 'MANAGE' WHERE resource_pattern = '{experiment}'"],
            ["DELETE FROM role_permissions WHERE resource_pattern = '{experiment}'"],
        ],
    ),
    "a user becomes an administrator and is one no more": (
        1,
        "carol",
        [
            ["UPDATE users SET is_admin = TRUE WHERE username = 'carol'"],
            ["UPDATE users SET is_admin = FALSE WHERE username = 'carol'"],
            ["UPDATE users SET is_admin = NULL WHERE username = 'carol'"],
        ],
    ),
    "a role is given, changed and taken away": (
        1,
        "erin",
        [
            [
                "INSERT INTO roles (name, workspace) VALUES ('team', 'default'), ('team', 'elsewhere')",
                "INSERT INTO role_permissions (role_id, resource_type, resource_pattern, permission)"
                " SELECT id, 'experiment', '{experiment}', 'EDIT' FROM roles WHERE name = 'team'",
                "INSERT INTO user_role_assignments (user_id, role_id) SELECT users.id, roles.id FROM users, roles"
                " WHERE username = 'erin' AND name = 'team' AND workspace = 'elsewhere'",
            ],
            [
                "INSERT INTO user_role_assignments (user_id, role_id) SELECT users.id, roles.id FROM users, roles"
                " WHERE username = 'erin' AND name = 'team' AND workspace = 'default'",
            ],
            [f"UPDATE role_permissions SET permission = 'DENY' {_OF_THE_TEAM}"],
            [f"UPDATE role_permissions SET resource_pattern = '*', permission = 'EDIT' {_OF_THE_TEAM}"],
            [f"UPDATE role_permissions SET resource_type = 'run', permission = 'DENY' {_OF_THE_TEAM}"],
            [f"UPDATE role_permissions SET resource_type = 'workspace', permission = 'MANAGE' {_OF_THE_TEAM}"],
            ["DELETE FROM user_role_assignments"],
        ],
    ),
    "a user is created, becomes an administrator and is deleted": (
        0,
        "grace",
        [
            [
                "INSERT INTO users (username, password_hash) SELECT 'grace', password_hash FROM users"
                " WHERE username = 'erin'",
            ],
            ["UPDATE users SET is_admin = TRUE WHERE username = 'grace'"],
            ["DELETE FROM users WHERE username = 'grace'"],
        ],
    ),
}
"""Other connections change what somebody may do with a run of an experiment, step by step."""
CONFIGURATION = """[mlflow]
database_uri = {uri}
default_permission = READ
admin_username = admin
admin_password =
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 600
"""


def main(folder: str, programs: str, *databases: str) -> dict[str, Any]:
    server = Server(Path(folder), Path(programs))
    configuration = Path(tempfile.mkdtemp(prefix="sign-in-"), "basic-auth.ini")
    configuration.write_text(CONFIGURATION.format(uri=server.store_uri(databases[0])))
    os.environ |= {
        "MLFLOW_AUTH_CONFIG_PATH": str(configuration),
        "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "secret",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(configuration.parent / "artifacts"),
    }
    logging.disable()
    with warnings.catch_warnings(action="ignore"):
        # They read the environment when they are imported.
        from mlflow.server import app, auth
        from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore as Users
        from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        from mlflow_postgres.rest import snapshots, stores
        from mlflow_postgres.rest.sign_in import SignIn

        from . import odd_senders
        from .sides import Request, Sides
    # As in the server. Users of MLflow alone are in a store of MLflow's.
    stores.install(auth)
    make: Any = SqlAlchemyStore
    store = make(server.store_uri(databases[0]), "mlflow-artifacts:/")
    experiments = [store.create_experiment(name) for name in ("open", "hers", "hidden")]
    application: Any = auth.create_app(app)
    for user in USERS[1:]:
        auth.store.create_user(user, PASSWORD)
    auth.store.grant_user_permission("alice", "experiment", experiments[1], "MANAGE")
    auth.store.grant_user_permission("bob", "experiment", experiments[2], "DENY")
    auth.store.grant_user_permission("dave", "run", "*", "DENY")
    auth.store.grant_user_permission("carol", "experiment", experiments[0], "EDIT")
    with_model = store.create_run(experiments[0], "somebody", 5, [], "with a model").info.run_id
    run_ids = []
    for experiment in experiments:
        run = store.create_run(experiment, "somebody", 5, [], "run")
        run_ids.append(run.info.run_id)
        (configuration.parent / "artifacts" / experiment / run.info.run_id / "artifacts" / "model").mkdir(parents=True)
    with store.engine.begin() as connection:
        # One of the open experiment has a model, which some may not see.
        connection.exec_driver_sql(
            "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id)"
            f" VALUES ('i', 'RUN_OUTPUT', '{with_model}', 'MODEL_OUTPUT', 'm-1')"
        )
    auth.store.grant_user_permission("erin", "logged_model", "*", "DENY")
    auth.store.grant_user_permission("frank", "logged_model", "*", "READ")
    # Who manages the workspace sees what is denied to others.
    auth.store.grant_user_permission("heidi", "logged_model", "*", "DENY")
    auth.store.set_workspace_permission("default", "heidi", "MANAGE")
    make = Registry
    registry = make(server.store_uri(databases[0]))
    for model in MODELS:
        registry.create_registered_model(model)
        registry.create_model_version(model, "s3://bucket/model", run_ids[0])
    auth.store.grant_user_permission("alice", "registered_model", MODELS[1], "MANAGE")
    auth.store.grant_user_permission("bob", "registered_model", MODELS[1], "DENY")
    registry._dispose_engine()
    store._dispose_engine()
    auth.store.engine.dispose()
    server.create(databases[1], databases[0])
    users = []
    for kind, database in zip((Users, stores.Users), databases, strict=True):
        each: Any = kind()
        each.init_db(server.store_uri(database))
        users.append(each)
    sides = Sides(server, (databases[0], databases[1]), application, (users[0], users[1]), SignIn(app, auth))

    def ask(request: Request, authorization: str | None) -> tuple[int, bool]:
        headers = {} if authorization is None else {"authorization": authorization}
        before = sum(sides.served.values())
        answer = sides.ask(Request(request.method, request.path, request.body, request.query, headers))
        return answer.status, sum(sides.served.values()) > before

    def basic(user: str, password: str = PASSWORD) -> str:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    senders = {user: basic(user) for user in USERS}
    strangers = {
        **{"nobody": None, "wrong": basic("bob", "wrong"), "unknown": basic("mallory"), "empty": basic("", "")},
        **{"bearer": "Bearer x", "no colon": "Basic " + base64.b64encode(b"bob").decode(), "nonsense": "nonsense"},
    }
    blocking: list[str] = []

    def note(*execution: Any) -> None:
        if snapshots.current() is not None:
            blocking.append(execution[2])

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", note)
    outcomes: dict[str, list[tuple[str, int, bool]]] = {}
    for name, authorization in {**senders, **strangers}.items():
        asked = requests(Request, experiments, run_ids, name)
        asked += [
            # The last one has been asked before other calls for its experiment were permitted.
            Request("GET", "/api/2.0/mlflow/runs/get", query={"run_id": run_id})
            for run_id in (with_model, run_ids[0])
        ]
        asked = asked if name in senders else asked[:2]
        outcomes[name] = [(each.path.rpartition("/mlflow/")[2], *ask(each, authorization)) for each in asked]
        sides.compare_rows()

    asked = [Request("POST", odd_senders.UPDATE, body) for body in odd_senders.bodies(run_ids[1], run_ids[0])]
    odd = {repr(each): ask(each, senders["alice"]) for each in asked}
    asked = [Request("POST", odd_senders.SEARCH, body) for body in odd_senders.searches(experiments[0], experiments[2])]
    asked += odd_senders.places(run_ids[0], run_ids[2])
    odd |= {repr(each): ask(each, senders["bob"]) for each in asked}
    for headers in odd_senders.senders("alice", PASSWORD, "bob"):
        before = sum(sides.served.values())
        status = sides.ask(Request("GET", odd_senders.GET, query={"run_id": run_ids[0]}, headers=headers)).status
        odd[repr(headers)] = (status, sum(sides.served.values()) > before)
    exports = []
    for user, experiment in (("alice", experiments[1]), ("bob", experiments[2])):
        headers = [("authorization", senders[user]), ("x-mlflow-experiment-id", experiment)]
        before = sum(sides.served.values())
        status = sides.ask(Request("POST", odd_senders.EXPORT, odd_senders.span(), headers=headers)).status
        exports.append((status, sum(sides.served.values()) > before))
    sides.compare_rows()

    def update(run: int, user: str, password: str = PASSWORD) -> tuple[int, bool]:
        body = {"run_id": run_ids[run], "status": "FINISHED"}
        return ask(Request("POST", "/api/2.0/mlflow/runs/update", body), basic(user, password))

    def forget() -> None:
        # Both sides are in this process and share it. Each worker has its own.
        cache = auth._USER_AUTH_CACHE
        assert cache is not None, "the configuration switches it on"
        cache.clear()

    changes: dict[str, list[tuple[int, bool]]] = {}
    for name, (run, user, steps) in CHANGES.items():
        changes[name] = [update(run, user)]
        for step in steps:
            sides.execute(*[each.format(experiment=experiments[run]) for each in step])
            changes[name] += [update(run, user), update(run, user)]
    # The cache of MLflow's that has the former password is that of a worker which did not change it.
    sides.execute(f"UPDATE users SET password_hash = '{generate_password_hash(ANOTHER)}' WHERE username = 'alice'")
    former = Request(
        "GET", "/api/2.0/mlflow/runs/get", query={"run_id": run_ids[0]}, headers={"authorization": senders["alice"]}
    )
    status, handed_on = sides.ask_ours(former)
    read = Request("GET", "/api/2.0/mlflow/runs/get", query={"run_id": run_ids[0]})
    passwords = [(status, not handed_on), ask(read, senders["alice"]), ask(read, basic("alice", ANOTHER))]
    forget()
    passwords += [ask(read, basic("alice", ANOTHER)), ask(read, senders["alice"])]
    sides.compare_rows()
    sides.close()
    return {
        **{
            "outcomes": outcomes,
            "odd": odd,
            "exports": exports,
            "changes": changes,
            "passwords": passwords,
            "blocking": blocking,
        },
        **{"served": sides.served, "handed_on": sides.handed_on},
    }


def requests(make: Any, experiments: list[str], run_ids: list[str], sender: str) -> list[Any]:
    def post(call: str, body: dict[str, Any]) -> Any:
        return make("POST", f"{API}/runs/{call}", body)

    def get(call: str, **query: Any) -> Any:
        return make("GET", f"{API}/{call}", query=query)

    metric = {"key": "m", "value": 1, "timestamp": 5, "step": 1}
    dataset = {"name": sender, "digest": "1", "source_type": "s", "source": "{}"}
    asked = [get("runs/get", run_id=run_ids[0]), post("search", {"experiment_ids": experiments})]
    for experiment, run_id in zip(experiments, run_ids, strict=True):
        asked += [
            post("create", {"experiment_id": experiment, "run_name": sender}),
            post("update", {"run_id": run_id, "status": "FINISHED", "end_time": len(sender)}),
            post("log-batch", {"run_id": run_id, "metrics": [metric], "tags": [{"key": sender, "value": "1"}]}),
            post("log-metric", {"run_id": run_id} | metric),
            post("log-parameter", {"run_id": run_id, "key": "p", "value": "1"}),
            post("set-tag", {"run_id": run_id, "key": "t", "value": sender}),
            post("delete-tag", {"run_id": run_id, "key": "t"}),
            get("runs/get", run_id=run_id),
            get("artifacts/list", run_id=run_id),
            get("artifacts/list", run_id=run_id, path=f"../../{run_ids[0]}/artifacts"),
            get("metrics/get-history", run_id=run_id, metric_key="m"),
            make("GET", f"{UI}/metrics/get-history-bulk", query={"run_id": [run_ids[0], run_id], "metric_key": "m"}),
            get("metrics/get-history-bulk-interval", run_ids=run_id, metric_key="m"),
            post("delete", {"run_id": run_id}),
            post("restore", {"run_id": run_id}),
            post("log-inputs", {"run_id": run_id, "datasets": [{"dataset": dataset}]}),
            make("POST", f"{UI}/experiments/search-datasets", {"experiment_ids": [experiments[0], experiment]}),
            make("POST", f"{API}/experiments/set-experiment-tag", {"experiment_id": experiment, "key": sender}),
            get("experiments/get", experiment_id=experiment),
            post("search", {"experiment_ids": [experiment], "filter": "tags.`mlflow.runName` = 'run'"}),
        ]
    asked += [get("experiments/get-by-name", experiment_name=name) for name in ("open", "hers", "hidden", "unknown")]
    for most in ("1", "3", "1000"):
        asked.append(get("experiments/search", max_results=most, order_by="name"))
        asked.append(make("POST", f"{API}/experiments/search", {"max_results": int(most)}))
    asked += [get("runs/get", run_id="unknown"), post("update", {"run_id": "unknown", "status": "FAILED"})]
    for number, experiment in enumerate(experiments):
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
        trace_id = f"tr-{number:032x}"
        info = {"trace_id": trace_id, "trace_location": place, "request_time": "2024-01-01T00:00:00Z", "state": "OK"}
        asked += [
            make("POST", TRACES, {"trace": {"trace_info": info}}),
            make("POST", f"{TRACES}/search", {"locations": [place]}),
            make("GET", f"{TRACES}/{trace_id}"),
            make("POST", f"{TRACES}/batchGetInfos", {"trace_ids": [trace_id]}),
            make("PATCH", f"{TRACES}/{trace_id}/tags", {"key": "t", "value": sender}),
        ]
    asked += [post("search", {}), post("search", {"experiment_ids": experiments[::-1], "run_view_type": "ALL"})]
    for model in MODELS:
        version = {"name": model, "version": "1"}
        asked += [
            get("registered-models/get", name=model),
            make("POST", f"{API}/registered-models/get-latest-versions", {"name": model}),
            get("model-versions/get", **version),
            get("model-versions/get-download-uri", **version),
            make("POST", f"{API}/registered-models/set-tag", {"name": model, "key": "t", "value": sender}),
            make("POST", f"{API}/model-versions/set-tag", version | {"key": "t", "value": sender}),
            make("POST", f"{API}/registered-models/alias", version | {"alias": "best"}),
            get("registered-models/alias", name=model, alias="best"),
            get("model-versions/search", filter=f"name = '{model}'"),
            make("POST", f"{API}/registered-models/create", {"name": f"{model} of {sender}"}),
        ]
    asked += [get("registered-models/search", max_results="2"), get("model-versions/search")]
    # Whoever is authorised for one run must not reach another.
    both = {"run_id": run_ids[0], "run_uuid": run_ids[2], "status": "FAILED"}
    asked.append(get("artifacts/list", run_id=run_ids[0], run_uuid=run_ids[2]))
    return [*asked, post("update", both), post("update", {"run_uuid": run_ids[2], "status": "FAILED"})]


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
