"""Figures for monitoring: who is told to serve them, as whom the database is asked, and that off means none."""

from __future__ import annotations

from components import Metrics, PlatformArgs, PostgresOptions

from .deploy import METRICS, deploy, everything
from .fake_engine import generated, plain
from .project import load

MONITOR = generated("mlflow-postgres-postgres-monitor-password")


def settings(**changes: str) -> PlatformArgs:
    return load(changes)


def test_mlflow_serves_metrics_only_if_they_are_on() -> None:
    assert deploy(metrics=METRICS).container("mlflow").environment["METRICS_PORT"] == "9464"
    assert "METRICS_PORT" not in deploy().container("mlflow").environment, "each request would be written down"


def test_the_monitoring_role_is_enabled_only_with_metrics() -> None:
    shares = [
        deploy(metrics=metrics).container("postgres").environment["MLFLOW_POSTGRES_MONITOR_CONNECTIONS"]
        for metrics in (None, METRICS)
    ]
    assert shares == ["0", "5"]
    files = {upload["file"] for upload in deploy().container("postgres-courier").inputs["uploads"]}
    assert "/run/secrets/monitor-password" not in files, "a password that nobody needs is one more to lose"


def test_the_exporter_signs_in_as_the_monitoring_role() -> None:
    engine = deploy(metrics=METRICS, postgres=PostgresOptions(user="tracker", database="runs"))
    assert engine.container("exporter").environment == {
        "DATA_SOURCE_URI": "postgres:5432/runs?sslmode=disable&connect_timeout=2",
        "DATA_SOURCE_USER": "tracker_monitor",
        "DATA_SOURCE_PASS_FILE": "/run/secrets/monitor-password",
    }
    (upload,) = engine.container("exporter-courier").inputs["uploads"]
    assert (upload["file"], upload["content"]) == ("/run/secrets/monitor-password", MONITOR)


def test_the_addresses_are_those_of_the_ports() -> None:
    exports = plain(everything(bind_address="192.0.2.7").exports)
    assert exports["mlflow_metrics_url"] == "http://127.0.0.1:9001/metrics"
    assert exports["postgres_metrics_url"] == "http://127.0.0.1:9002/metrics"


def test_by_default_there_are_no_metrics_and_no_ports_for_them() -> None:
    assert settings().metrics is None
    assert not {each.argument for each in settings().published_ports if "metrics" in each.argument}


def test_with_metrics_their_default_ports_are_used() -> None:
    assert settings(metrics="true").metrics == Metrics(mlflow_port=9464, postgres_port=9187)
    published = {each.argument: each.host for each in settings(metrics="true").published_ports}
    assert {"metrics.mlflow_port": 9464, "metrics.postgres_port": 9187}.items() <= published.items()
