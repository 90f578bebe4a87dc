"""The services of a platform: one file, one service."""
