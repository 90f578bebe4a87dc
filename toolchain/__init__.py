"""Installs what the project needs and the machine lacks: a Docker engine, Pulumi, and base images.

It uses only the standard library and `contract`, because it runs before any virtualenv exists.
"""
