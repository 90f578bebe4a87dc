"""The schema job: upgrades the database to the schema of this image's MLflow, after a dump.

It runs once before a server is replaced, as the role that owns the tables. It never touches artifacts.
"""
