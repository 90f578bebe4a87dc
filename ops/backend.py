"""Pulumi's local state and its passphrase, if the user has not chosen others."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from contract.errors import UserError

_SALT = re.compile(r"^encryptionsalt: *(.+?) *\n?$", re.MULTILINE)


def folder() -> Path:
    """The folder of the state, for a user without another backend."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "mlflow-postgres"


def use(project: Path) -> None:
    """Set the environment variables of both for Pulumi. Raises `UserError` if our passphrase is lost."""
    chosen = _chosen_backend()
    _remove_empty_attributes(chosen or f"file://{folder()}")
    if chosen:
        return
    os.environ["PULUMI_BACKEND_URL"] = f"file://{folder()}"
    if "PULUMI_CONFIG_PASSPHRASE" in os.environ or os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        return
    passphrase = folder() / "passphrase"
    os.environ["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(passphrase)
    if not _has_text(passphrase):
        _create(passphrase)
    _remove_foreign_salts(project)


def _chosen_backend() -> str:
    """The backend that the user has set or has logged in to; empty without one."""
    if chosen := os.environ.get("PULUMI_BACKEND_URL"):
        return chosen
    home = os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi"
    credentials = Path(os.environ.get("PULUMI_CREDENTIALS_PATH") or home) / "credentials.json"
    try:
        return str(json.loads(credentials.read_text()).get("current") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def _remove_empty_attributes(url: str) -> None:
    """Remove the empty .attrs files that a killed Pulumi has left.

    Pulumi writes one beside each file of a local state. It fails on an empty one ("failed to load checkpoint: EOF").
    It does not need the file.
    """
    if not url.startswith("file://"):
        return
    root = Path(url.removeprefix("file://").partition("?")[0]).expanduser() / ".pulumi"
    for each in root.rglob("*.attrs"):
        # Another run may remove the same file.
        with suppress(OSError):
            if not each.stat().st_size:
                each.unlink()


def _remove_foreign_salts(project: Path) -> None:
    """Remove the salt of another passphrase from the stack files, unless a secret in the file needs it.

    Pulumi writes its salt there. When somebody commits it, every other user's passphrase is "incorrect".
    """
    for file in project.glob("Pulumi.*.yaml"):
        text = file.read_text()
        salt = _SALT.search(text)
        if salt and "secure:" not in text and not _is_known(salt[1]):
            file.write_text(_SALT.sub("", text))


def _is_known(salt: str) -> bool:
    stacks = (each for each in (folder() / ".pulumi" / "stacks").rglob("*") if each.is_file())
    return any(salt in each.read_text(errors="replace") for each in stacks)


def _create(passphrase: Path) -> None:
    if any((folder() / ".pulumi" / "stacks").rglob("*.json")):
        raise UserError(
            "passphrase-missing",
            f"the passphrase {folder()}/passphrase is gone",
            rule=f"the stacks in {folder()} cannot be read without it. Restore it from your backup, or start again on "
            "the same data",
            remedy="make forget, then make up",
        )
    passphrase.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = passphrase.with_name(f"passphrase.{secrets.token_hex(4)}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(base64.b64encode(secrets.token_bytes(32)) + b"\n")
    if not _has_text(passphrase):
        passphrase.unlink(missing_ok=True)
    # If two first runs race, one wins, and both use its passphrase.
    with suppress(FileExistsError):
        os.link(fresh, passphrase)
    fresh.unlink()


def _has_text(file: Path) -> bool:
    return file.is_file() and bool(file.stat().st_size)
