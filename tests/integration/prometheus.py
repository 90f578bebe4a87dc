"""A real Prometheus beside a stack, with the files that docs/monitoring.md hands out."""

from __future__ import annotations

import io
import json
import urllib.parse
import urllib.request
from typing import Any

import yaml
from docker import DockerClient

from .harness import ROOT, free_ports, wait_for
from .limits import REQUEST
from .postgres_containers import put_file

FILES = ROOT / "examples" / "monitoring"
TESTS = ROOT / "tests" / "integration" / "alerts_test.yml"
IMAGE = "mlflow-postgres-it/prometheus"
DOCKERFILE = b"""
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends prometheus && rm -rf /var/lib/apt/lists/*
"""


class Prometheus:
    """Debian's Prometheus on the host's network, which looks more often than the file says."""

    def __init__(self, engine: DockerClient, ports: dict[str, int]) -> None:
        """`ports` are the host ports to scrape, by the name of the job."""
        engine.images.build(fileobj=io.BytesIO(DOCKERFILE), tag=IMAGE, network_mode="host", rm=True)
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}/api/v1"
        settings = yaml.safe_load((FILES / "prometheus.yml").read_text())
        settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        for job in settings["scrape_configs"]:
            # The exporter takes three seconds to say that the database is gone.
            job["scrape_interval"] = job["scrape_timeout"] = "5s" if job["job_name"] == "postgresql" else "1s"
            job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]
        listen = f"--web.listen-address=127.0.0.1:{port}"
        order = ["prometheus", "--config.file=/prometheus.yml", "--storage.tsdb.path=/tmp/figures", listen]
        self.container = engine.containers.create(IMAGE, order, network_mode="host")
        put_file(self.container, "prometheus.yml", yaml.safe_dump(settings))
        put_file(self.container, "alerts.yml", (FILES / "alerts.yml").read_text())
        put_file(self.container, "alerts_test.yml", TESTS.read_text())
        self.container.start()

    def tool(self, *arguments: str) -> tuple[int | None, str]:
        """Run promtool; its exit code and what it says."""
        code, said = self.container.exec_run(["promtool", *arguments])
        assert isinstance(said, bytes)
        return code, said.decode()

    def ask(self, path: str, **parameters: str) -> Any:
        """What the API answers. Raises OSError with what is wrong with a question."""
        with urllib.request.urlopen(
            f"{self.url}/{path}?{urllib.parse.urlencode(parameters)}", timeout=REQUEST
        ) as answer:
            return json.load(answer)["data"]

    def finds(self, expression: str) -> list[float]:
        """The values that an expression has now."""
        return [float(each["value"][1]) for each in self.ask("query", query=expression)["result"]]

    def rules(self) -> dict[str, dict[str, Any]]:
        """The alerts, by name."""
        return {rule["name"]: rule for group in self.ask("rules")["groups"] for rule in group["rules"]}

    def wait_until(self, expression: str, value: float) -> None:
        """Wait until an expression has one value alone."""
        wait_for(lambda: self.finds(expression) == [value], f"{expression} to be {value}")

    def wait_until_alert(self, name: str, *, there: bool) -> None:
        """Wait until an alert has begun, whether or not it lasts long enough to fire, or has ended."""
        wait_for(lambda: (self.rules()[name]["state"] != "inactive") == there, f"{name} to be {there}")

    def wait_until_it_answers(self) -> None:
        wait_for(self._answers, "Prometheus")

    def _answers(self) -> bool:
        self.container.reload()
        assert self.container.status == "running", self.container.logs().decode()
        try:
            return bool(self.ask("rules")["groups"])
        except OSError:
            return False

    def remove(self) -> None:
        """The image stays: without it every run would install Prometheus anew."""
        self.container.remove(force=True, v=True)
