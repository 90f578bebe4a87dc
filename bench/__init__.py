"""The benchmark. It compares MLflow on SQLite, on a tutorial's PostgreSQL and in this project, in one run."""
