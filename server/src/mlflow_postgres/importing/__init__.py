"""Imports the runs of another MLflow store into the database, in one transaction.

The store is copied first, and only the copy is changed. MLflow's own commands upgrade it to this MLflow's schema, and
rows that cannot be imported are deleted. The other rows are written to the database with new ids, names and artifact
addresses, and are read back and compared before the commit.
"""
