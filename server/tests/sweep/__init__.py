"""Calls of the whole API, sent to our server and to MLflow as it comes, whose answers are compared and searched."""
