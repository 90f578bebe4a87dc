"""The image's entry point starts nothing on a store that is not PostgreSQL, and keeps passwords out of the log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_postgres.runtime.serve import STARTUP

from . import PYTHONPATH


def serve(uri: str | None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": PYTHONPATH} | (
        {} if uri is None else {"MLFLOW_BACKEND_STORE_URI": uri}
    )
    command = [sys.executable, "-m", "mlflow_postgres.runtime.serve", "sh", "-c", "echo started; echo $PYTHONPATH"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_mlflow_starts_on_postgresql() -> None:
    done = serve("postgresql+mlflow://mlflow@postgres:5432/mlflow")
    assert (done.returncode, done.stdout) == (0, f"started\n{STARTUP}\n"), done.stderr


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        (None, "nothing"),
        ("", "nothing"),
        ("sqlite:///hunter2.db", "sqlite"),
        ("postgresql://mlflow:hunter2@postgres/mlflow", "postgresql"),
        ("postgresql+psycopg2://mlflow:hunter2@postgres/mlflow", "postgresql+psycopg2"),
        ("postgresql+mlflow:mlflow:hunter2@postgres", "postgresql+mlflow"),
        ("mysql://mlflow:hunter2@postgres/mlflow", "mysql"),
        (" postgresql+mlflow://mlflow:hunter2@postgres", " postgresql+mlflow"),
    ],
)
def test_mlflow_does_not_start_on_another_store_and_nothing_after_its_scheme_is_printed(
    uri: str | None, shown: str
) -> None:
    done = serve(uri)
    assert (done.returncode, done.stdout) == (64, ""), (
        "MLflow would keep its runs in a file that goes with the container"
    )
    assert done.stderr == (
        f"serve: [store-uri-invalid] MLFLOW_BACKEND_STORE_URI begins with '{shown}': it must begin with 'postgresql+mlflow://'\n"
    ), "the logs are read by more people than the password is meant for"


@pytest.mark.parametrize(("sign_in", "jobs"), [("/run/secrets/basic-auth.ini", "true"), ("/x", "false"), ("", "true")])
def test_workers_and_jobs_get_a_token_as_from_mlflows_own_sign_in(tmp_path: Path, sign_in: str, jobs: str) -> None:
    """`mlflow server` makes it for the application `basic-auth` alone. It is in a file, not in an environment."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": PYTHONPATH,
        "HOME": str(tmp_path),
        "MLFLOW_BACKEND_STORE_URI": "postgresql+mlflow://mlflow@postgres/mlflow",
        "MLFLOW_AUTH_CONFIG_PATH": sign_in,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": jobs,
    }
    command = [sys.executable, "-m", "mlflow_postgres.runtime.serve", "env"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert (told.get("_MLFLOW_AUTH_ADMIN_BOOTSTRAPPED") == "true") == bool(sign_in), "the schema job has created it"
    file = told.get("_MLFLOW_INTERNAL_GATEWAY_AUTH_TOKEN_FILE")
    assert (file is not None) == (bool(sign_in) and jobs == "true")
    assert "_MLFLOW_INTERNAL_GATEWAY_AUTH_TOKEN" not in told
    assert file is None or len(Path(file).read_text()) == 64
