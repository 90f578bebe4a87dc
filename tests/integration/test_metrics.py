"""Figures for monitoring: both are scraped, say what happens, and what the project hands out works on them.

In the order of the file: the last tests break the stack, and switch the figures off.
"""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from docker import DockerClient
from docker.errors import NotFound

from .harness import Deployment, wait_for, workers
from .limits import REQUEST, STOP
from .postgres_containers import query
from .prometheus import FILES, Prometheus

DASHBOARD: dict[str, Any] = json.loads((FILES / "dashboard.json").read_text())
QUERIES = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
CREATE = "/api/2.0/mlflow/runs/create"
COMPARISON = re.compile(r"\s*(==|<|>)\s*[0-9.e+]+\s*$")
# There is none before something has failed: test_a_database_that_is_stopped_is_seen asks for it.
NOT_YET = {"MlflowErrors"}


@pytest.fixture(scope="module")
def prometheus(engine: DockerClient, stack: Deployment) -> Iterator[Prometheus]:
    settings = stack.settings
    made = Prometheus(engine, {"mlflow": settings["mlflowMetricsPort"], "postgresql": settings["postgresMetricsPort"]})
    try:
        made.wait_until_it_answers()
        yield made
    finally:
        made.remove()


def figures(stack: Deployment, of: str) -> dict[str, float]:
    """What is served at one of the stack's addresses, by name and labels."""
    with urllib.request.urlopen(stack.outputs()[f"{of}_metrics_url"], timeout=REQUEST) as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def requests(stack: Deployment, route: str = CREATE) -> float:
    """How many requests of a route were answered, whatever came of them."""
    series = f'mlflow_http_requests_total{{method="POST",route="{route}"'
    return sum(value for name, value in figures(stack, "mlflow").items() if name.startswith(series))


def log_a_run(stack: Deployment, experiment: str = "0") -> None:
    body = json.dumps({"experiment_id": experiment, "run_name": "counted"}).encode()
    request = urllib.request.Request(f"{stack.outputs()['tracking_url']}{CREATE}", body)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=REQUEST) as answer:
        answer.read()


def test_each_logged_run_is_counted_whichever_worker_answers(stack: Deployment) -> None:
    before = requests(stack)
    for _ in range(12):
        log_a_run(stack)
    # A worker counts a request when its answer is sent.
    wait_for(lambda: requests(stack) - before == 12, "12 requests: what is served is the sum of all workers")


def test_an_answer_is_counted_by_its_status_and_its_route(stack: Deployment) -> None:
    before = figures(stack, "mlflow")
    with pytest.raises(urllib.error.HTTPError):
        log_a_run(stack, "4711")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{stack.outputs()['tracking_url']}/made/up", timeout=REQUEST)
    # Not found by Flask's part of MLflow, but by FastAPI's.
    server_info = "/ajax-api/3.0/mlflow/server-info"
    urllib.request.urlopen(f"{stack.outputs()['tracking_url']}{server_info}", timeout=REQUEST).close()
    wait_for(lambda: figures(stack, "mlflow")["mlflow_http_requests_in_flight"] == 0, "the end of all requests")
    found = figures(stack, "mlflow")
    assert not [name for name in found if "/made/up" in name], "whoever asks would make new series without an end"
    for labels in (
        f'method="POST",route="{CREATE}",status="404"',
        'method="GET",route="other",status="404"',
        f'method="GET",route="{server_info}",status="200"',
    ):
        name = f"mlflow_http_requests_total{{{labels}}}"
        assert found[name] - before.get(name, 0) == 1, name


def test_the_counts_stay_when_a_worker_is_killed(stack: Deployment) -> None:
    before, old = requests(stack), workers(stack)
    os.kill(min(old), signal.SIGKILL)
    wait_for(lambda: len(workers(stack)) == 2 and workers(stack) != old, "a new worker")
    wait_for(stack.answers, "an answer")
    log_a_run(stack)
    # A count that falls would be taken for a restart of the server.
    wait_for(lambda: requests(stack) == before + 1, "one request more")
    files = stack.execute("mlflow", "ls", "/run/metrics").split()
    assert {name for name in files if name.startswith("counter")} == {"counter_0.db", "counter_1.db"}


def test_figures_are_on_no_address_that_others_reach(stack: Deployment) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{stack.outputs()['tracking_url']}/metrics", timeout=REQUEST)
    for role in ("mlflow", "exporter"):
        bindings = stack.container(role).attrs["NetworkSettings"]["Ports"]
        opened = {bound["HostIp"] for each in bindings.values() for bound in each or []}
        assert opened == {"127.0.0.1"}


def test_who_watches_reads_no_row(stack: Deployment) -> None:
    database = stack.container("postgres")
    tables = "FROM pg_tables WHERE schemaname IN ('public', 'mlflow_postgres') AND has_table_privilege"
    assert query(database, f"SELECT count(*) {tables}('mlflow_monitor', schemaname || '.' || tablename, 'SELECT')") == [
        "0"
    ]
    groups = "SELECT pg_get_userbyid(roleid) FROM pg_auth_members WHERE member = 'mlflow_monitor'::regrole"
    assert query(database, groups) == ["pg_monitor"]
    rights = "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls FROM pg_roles"
    assert query(database, f"{rights} WHERE rolname = 'mlflow_monitor'") == ["f"]


def test_prometheus_takes_the_files_as_they_are(prometheus: Prometheus) -> None:
    code, said = prometheus.tool("check", "config", "/prometheus.yml")
    assert code == 0, said
    rules = prometheus.rules()
    assert len(rules) == 12
    wait_for(lambda: {rule["health"] for rule in prometheus.rules().values()} == {"ok"}, "every rule to be tried")
    assert {bool(rule["annotations"]["remedy"]) for rule in rules.values()} == {True}


def test_each_alert_fires_when_it_should_and_only_then(prometheus: Prometheus) -> None:
    code, said = prometheus.tool("test", "rules", "/alerts_test.yml")
    assert code == 0, said


def test_both_are_scraped(prometheus: Prometheus) -> None:
    for job in ("mlflow", "postgresql"):
        prometheus.wait_until(f'up{{job="{job}"}}', 1)
    prometheus.wait_until("pg_up", 1)


def test_every_panel_of_the_dashboard_shows_something(stack: Deployment, prometheus: Prometheus) -> None:
    log_a_run(stack)
    silent: set[str] = set()

    def all_speak() -> bool:
        silent.clear()
        silent.update(f"{title}: {query}" for title, query in QUERIES if not prometheus.finds(as_grafana_asks(query)))
        return not silent

    assert len(QUERIES) > 25
    try:
        wait_for(all_speak, "every panel")
    except AssertionError:
        raise AssertionError("\n".join(sorted(silent))) from None


def as_grafana_asks(query: str) -> str:
    """A query with the variables of Grafana filled in."""
    filled = query.replace("$__rate_interval", "1m").replace("$mlflow", ".*").replace("$postgresql", ".*")
    assert "$" not in filled, "a variable that is not there"
    return filled


def test_what_alerts_compare_is_there(prometheus: Prometheus) -> None:
    rules = prometheus.rules()
    compared = {name: COMPARISON.sub("", rule["query"]) for name, rule in rules.items()}
    assert all(compared[name] != rule["query"] for name, rule in rules.items())
    wait_for(
        lambda: {name for name, query in compared.items() if not prometheus.finds(query)} <= NOT_YET,
        "something to compare for each alert",
    )


def test_nothing_fires_while_all_is_well(prometheus: Prometheus) -> None:
    assert {name for name, rule in prometheus.rules().items() if rule["state"] != "inactive"} == set()


def test_a_database_that_is_stopped_is_seen(stack: Deployment, prometheus: Prometheus) -> None:
    stack.container("postgres").stop(timeout=STOP)
    try:
        prometheus.wait_until("pg_up", 0)
        prometheus.wait_until_alert("PostgresqlDown", there=True)
        prometheus.wait_until_alert("MlflowErrors", there=True)
    finally:
        stack.container("postgres").start()
    prometheus.wait_until("pg_up", 1)
    prometheus.wait_until_alert("PostgresqlDown", there=False)


def test_a_new_password_is_the_exporters_too(stack: Deployment, prometheus: Prometheus) -> None:
    before = stack.execute("exporter", "cat", "/run/secrets/monitor-password")
    stack.configure(credentialsVersion=3)
    stack.up()
    assert stack.execute("exporter", "cat", "/run/secrets/monitor-password") != before
    assert figures(stack, "postgres")["pg_up"] == 1, "ready means that the database has answered"
    prometheus.wait_until("pg_up", 1)


def test_switched_off_they_are_gone_and_so_is_the_role(stack: Deployment) -> None:
    stack.configure(metrics=False)
    stack.up()
    assert not {"mlflow_metrics_url", "postgres_metrics_url"} & set(stack.outputs())
    with pytest.raises(NotFound):
        stack.container("exporter")
    assert f"{stack.prefix}-metrics" not in stack.objects()["networks"]
    role = "SELECT rolcanlogin OR rolpassword IS NOT NULL FROM pg_authid WHERE rolname = 'mlflow_monitor'"
    assert query(stack.container("postgres"), role) == ["f"]
    assert query(
        stack.container("postgres"), "SELECT count(*) FROM pg_auth_members WHERE member = 'mlflow_monitor'::regrole"
    ) == ["0"]
    log_a_run(stack)
    assert stack.container("mlflow").attrs["NetworkSettings"]["Ports"].keys() == {"5000/tcp"}
