"""Python imports this at the start of every process under `serve`: server, workers and commands of the jobs."""

from mlflow_postgres.runtime import forked_workers, secret_files

secret_files.install()
forked_workers.install()
