"""The benchmark: MLflow on SQLite, on PostgreSQL as a tutorial starts it, and as this project does, in one run."""
