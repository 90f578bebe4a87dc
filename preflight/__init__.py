"""A look at the Docker host before anything is planned, so that what cannot work stops before anything is touched.

Reads only. Nothing is imported here: `preflight.host` imports Pulumi, and the commands that run before every `up` and
need only `preflight.engine` would wait for it.
"""
