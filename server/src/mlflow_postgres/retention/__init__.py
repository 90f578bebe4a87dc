"""What was deleted long enough ago is removed for good: runs, models, experiments with their traces, and their files.

`mlflow gc` does not do here: it takes the files of registered models along, reaches artifacts only as an administrator
over HTTP, ends at the first address that it cannot read, and loads all traces of an experiment into memory.
"""
