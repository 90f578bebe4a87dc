"""Secrets as files in MLflow's image: found under their name, and in no environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mlflow_postgres.runtime.serve import STARTUP

from . import PYTHONPATH

NAME = "MLFLOW_CRYPTO_KEK_PASSPHRASE"


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import os, subprocess, sys\n{program}"],
        env={"PYTHONPATH": f"{STARTUP}{os.pathsep}{PYTHONPATH}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def file_with(folder: Path, text: str) -> str:
    (folder / "secret").write_text(text)
    return str(folder / "secret")


def test_a_listed_name_is_read_from_its_file_however_it_is_asked_for(tmp_path: Path) -> None:
    program = f"print(os.environ['{NAME}'], os.getenv('{NAME}'), '{NAME}' in os.environ, '{NAME}' in os.environ.copy())"
    assert run(program, **{f"{NAME}_FILE": file_with(tmp_path, "abc\n")}).stdout == "abc abc True False\n"


def test_the_name_itself_goes_before_its_file(tmp_path: Path) -> None:
    ended = run(f"print(os.environ['{NAME}'])", **{NAME: "own", f"{NAME}_FILE": file_with(tmp_path, "abc")})
    assert ended.stdout == "own\n"


def test_another_name_is_not_read_from_a_file(tmp_path: Path) -> None:
    path = file_with(tmp_path, "abc")
    ended = run("print(os.getenv('OTHER'))", OTHER_FILE=path, **{f"{NAME}_FILE": path})
    assert ended.stdout == "None\n"


def test_a_child_gets_no_secret_even_when_it_is_handed_on_by_name(tmp_path: Path) -> None:
    program = (
        f"env = {{**os.environ, '{NAME}': os.environ['{NAME}']}}\n"
        "print(subprocess.run(['cat', '/proc/self/environ'], env=env, capture_output=True).stdout)\n"
        "print(subprocess.run(['cat', '/proc/self/environ'], capture_output=True).stdout)\n"
        "print(open('/proc/self/environ').read())"
    )
    ended = run(program, **{f"{NAME}_FILE": file_with(tmp_path, "abc-secret"), "PATH": "/usr/bin:/bin"})
    assert ended.returncode == 0
    assert f"{NAME}_FILE" in ended.stdout
    assert "abc-secret" not in ended.stdout


def test_an_empty_or_missing_file_is_an_error_and_not_a_default(tmp_path: Path) -> None:
    for path in (file_with(tmp_path, "\n"), str(tmp_path / "none")):
        ended = run(f"os.environ.get('{NAME}')", **{f"{NAME}_FILE": path})
        assert ended.returncode != 0
        assert path in ended.stderr


def test_the_token_that_mlflow_makes_up_goes_on_to_its_children_as_a_file_of_the_user_s_own(tmp_path: Path) -> None:
    token = "_MLFLOW_INTERNAL_GATEWAY_AUTH_TOKEN"
    child = f"import os; print(os.environ['{token}']); print(open('/proc/self/environ').read())"
    program = (
        f"env = {{**os.environ, '{token}': 'made-up'}}\n"
        f'print(subprocess.run([sys.executable, "-c", "{child}"], env=env, capture_output=True, text=True).stdout)'
    )
    ended = run(program, HOME=str(tmp_path), **{f"{NAME}_FILE": file_with(tmp_path, "abc")})
    assert ended.stdout.count("made-up") == 1
    assert (tmp_path / ".gateway-token").stat().st_mode & 0o777 == 0o600
