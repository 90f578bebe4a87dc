"""Bring the runs of another store of MLflow's into the database, in one transaction: all of them or none.

The store is copied first, and only the copy is changed: brought to this MLflow's schema by MLflow's own commands,
freed of what is not to come along. Its rows are then written as they are, but for ids, names and addresses that are
others here, and read back before anything counts.
"""
