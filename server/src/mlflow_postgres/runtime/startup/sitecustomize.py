"""Python imports this at the start of every process under `serve`: the server, its workers, and the jobs' commands."""

from mlflow_postgres.runtime import forked_workers, secret_files

secret_files.install()
forked_workers.install()
