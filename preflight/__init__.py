"""Checks of the Docker host before anything is planned. They stop a deployment that cannot work.

They only read. Do not import anything here: `preflight.host` imports Pulumi, which takes long, and the commands before
every `up` need only `preflight.engine`.
"""
