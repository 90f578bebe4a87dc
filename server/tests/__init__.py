"""Tests of the package in MLflow's image. They need no engine and no stack; the database is a bare PostgreSQL."""

import os
from pathlib import Path

from sqlalchemy.dialects import registry

CHECKOUT = Path(__file__).parents[2]
PYTHONPATH = os.pathsep.join([str(CHECKOUT / "server" / "src"), str(CHECKOUT)])
"""For a Python that a test starts."""

# The package is not installed here, so SQLAlchemy cannot find its entry point.
registry.register("postgresql.mlflow", "mlflow_postgres.database.dialect", "Dialect")
