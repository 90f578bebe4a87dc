"""Folders and files inside the containers."""

from __future__ import annotations

from typing import Final

SECRETS: Final = "/run/secrets"
"""Every secret file is here, in every container."""
ARTIFACTS: Final = "/mlartifacts"
BACKUPS: Final = "/backups"
KEYS: Final = "/keys"
HOME: Final = "/home/mlflow"
METRICS: Final = "/run/metrics"

# The mounts of an import's container.
IMPORT_SOURCE: Final = "/source"
IMPORT_USERS: Final = "/users"
IMPORT_FOLDERS: Final = "/places"
"""The parent of the folders that artifacts may be copied from. Each is mounted under its number."""
IMPORT_LOCATIONS: Final = "/locations.json"

# Names of secret files.
PASS_FILE: Final = "pgpass"
ADMIN_PASSWORD: Final = "admin-password"
SECRET_KEY: Final = "secret-key"
BASIC_AUTH: Final = "basic-auth.ini"
OWNER_PASSWORD: Final = "owner-password"
SERVER_PASSWORD: Final = "server-password"
READONLY_PASSWORD: Final = "readonly-password"
MONITOR_PASSWORD: Final = "monitor-password"
CADDYFILE: Final = "Caddyfile"
CERTIFICATE: Final = "certificate.pem"
CERTIFICATE_KEY: Final = "key.pem"
