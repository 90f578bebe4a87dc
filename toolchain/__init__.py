"""Supplies what a machine lacks before the project can run: a Docker engine, Pulumi, and base images.

Only the standard library is used here, because this runs before any virtualenv exists.
"""
