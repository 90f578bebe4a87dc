"""Writes the software bill of materials (SBOM) of MLflow's image, in CycloneDX: `make sbom`.

python docs/sbom.py dist images/mlflow/locks/3.17.2.txt    writes dist/mlflow-3.17.2.cdx.json

The SBOM lists the Python packages of the lock file with the hashes that pip checks. It does not list the packages of
the base image.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = "mlflow-postgres/mlflow"
"""The component that the SBOM describes: MLflow's image. Its version is MLflow's version."""


def main(arguments: list[str]) -> int:
    """Write the SBOM of each lock file into the folder. Raises `subprocess.CalledProcessError` if the tool fails."""
    folder, *locks = map(Path, arguments)
    folder.mkdir(exist_ok=True)
    for lock in locks:
        path = folder / f"mlflow-{lock.stem}.cdx.json"
        path.write_text(json.dumps(sbom(lock), indent=1) + "\n")
        print(path)
    return 0


def sbom(lock: Path) -> dict[str, Any]:
    """The SBOM of one lock file. Raises `subprocess.CalledProcessError` if cyclonedx-py fails."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "pyproject.toml"
        root.write_text(f'[project]\nname = "{ROOT}"\nversion = "{lock.stem}"\n')
        # --output-reproducible leaves out the time and the serial number. -W ignore hides the warning that the SBOM has
        # no dependency graph: a lock file has it in comments only.
        tool = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", "--output-reproducible"]
        done = subprocess.run(
            [*tool, "--spec-version", "1.6", "--pyproject", root, lock], check=True, stdout=subprocess.PIPE
        )
    document: dict[str, Any] = json.loads(done.stdout)
    for component in document["components"]:
        # The description repeats the line of the lock file with all its hashes. It is half of the document.
        del component["description"]
    return document


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
