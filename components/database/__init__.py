"""The database: what the services need to know of one, and our own PostgreSQL."""

from .external import ExternalDatabase
from .managed import PostgresOptions
from .server import DatabaseConnection, DatabaseServer, Login, SslMode

__all__ = ["DatabaseConnection", "DatabaseServer", "ExternalDatabase", "Login", "PostgresOptions", "SslMode"]
