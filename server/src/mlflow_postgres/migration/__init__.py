"""The schema job: bring MLflow's database to the schema of this image's MLflow, with a way back.

Runs once before a server is replaced, as the role that owns the tables. It never touches artifacts.
"""
