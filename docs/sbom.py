"""The software bill of materials of MLflow's image: CycloneDX beside each lock file, made by cyclonedx-py.

python docs/sbom.py images/mlflow/locks/3.17.2.txt ...    writes 3.17.2.cdx.json beside it, and so on

It names the Python packages of the lock with the hashes that pip checks; the base image and its packages are not in it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = "mlflow-postgres/mlflow"
"""The component that a bill of materials describes: the image, in the version of its MLflow."""


def main(locks: list[str]) -> int:
    """Write the bill of each lock file. Raises `subprocess.CalledProcessError` if cyclonedx-py refuses one."""
    for lock in map(Path, locks):
        bill = lock.with_suffix(".cdx.json")
        bill.write_text(json.dumps(_bill(lock), indent=1) + "\n")
        print(bill)
    return 0


def _bill(lock: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "pyproject.toml"
        root.write_text(f'[project]\nname = "{ROOT}"\nversion = "{lock.stem}"\n')
        # Without --output-reproducible, every run has its own time and serial number. The warning that is ignored: the
        # bill does not say who needs whom, which a lock file has in comments alone.
        tool = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", "--output-reproducible"]
        done = subprocess.run(
            [*tool, "--spec-version", "1.6", "--pyproject", root, lock], check=True, stdout=subprocess.PIPE
        )
    bill: dict[str, Any] = json.loads(done.stdout)
    for component in bill["components"]:
        # The line of the lock file, with every hash a second time: half of the bill.
        del component["description"]
    return bill


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
