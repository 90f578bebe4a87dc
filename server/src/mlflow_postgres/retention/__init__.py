"""Permanently removes runs, models and experiments that were deleted long enough ago, with their traces and files.

`mlflow gc` cannot be used. It removes the files of registered models, reaches artifacts only over HTTP as an
administrator, stops at the first artifact URI that it cannot read, and loads all traces of an experiment into memory.
"""
