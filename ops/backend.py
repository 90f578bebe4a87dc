"""Where Pulumi keeps the state, and the passphrase that opens it: our own, each only where the user has none."""

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
    """The folder of the state of a user without a backend of their own."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "mlflow-postgres"


def use(project: Path) -> None:
    """Have Pulumi find the state and the passphrase. Raises `UserError` when the state's own passphrase is gone."""
    own = _own()
    _drop_torn_descriptions(own or f"file://{folder()}")
    if own:
        return
    os.environ["PULUMI_BACKEND_URL"] = f"file://{folder()}"
    if "PULUMI_CONFIG_PASSPHRASE" in os.environ or os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        return
    passphrase = folder() / "passphrase"
    os.environ["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(passphrase)
    if not _has_text(passphrase):
        _make(passphrase)
    _drop_foreign_salts(project)


def _own() -> str:
    """The backend that the user has chosen, or has logged in to; empty if it is neither."""
    if chosen := os.environ.get("PULUMI_BACKEND_URL"):
        return chosen
    home = os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi"
    credentials = Path(os.environ.get("PULUMI_CREDENTIALS_PATH") or home) / "credentials.json"
    try:
        return str(json.loads(credentials.read_text()).get("current") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def _drop_torn_descriptions(url: str) -> None:
    """Remove the descriptions that a killed Pulumi has left empty.

    Pulumi describes each file of a local state in an .attrs beside it. It refuses an empty one ever after ("failed to
    load checkpoint: EOF"); without a description it reads the file as well.
    """
    if not url.startswith("file://"):
        return
    root = Path(url.removeprefix("file://").partition("?")[0]).expanduser() / ".pulumi"
    for each in root.rglob("*.attrs"):
        # Another run may remove its own meanwhile.
        with suppress(OSError):
            if not each.stat().st_size:
                each.unlink()


def _drop_foreign_salts(project: Path) -> None:
    """Take a salt out of a stack's file that is another passphrase's and that no secret in the file needs.

    Pulumi writes the salt there. Committed by somebody, it would make everybody else's passphrase "incorrect".
    """
    for file in project.glob("Pulumi.*.yaml"):
        text = file.read_text()
        salt = _SALT.search(text)
        if salt and "secure:" not in text and not _is_known(salt[1]):
            file.write_text(_SALT.sub("", text))


def _is_known(salt: str) -> bool:
    stacks = (each for each in (folder() / ".pulumi" / "stacks").rglob("*") if each.is_file())
    return any(salt in each.read_text(errors="replace") for each in stacks)


def _make(passphrase: Path) -> None:
    if any((folder() / ".pulumi" / "stacks").rglob("*.json")):
        raise UserError(
            "passphrase-missing",
            f"the passphrase {folder()}/passphrase is gone",
            rule=f"the stacks in {folder()} cannot be read without it. Put it back from your backup, or begin anew on "
            "the same data",
            remedy="make forget, then make up",
        )
    passphrase.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = passphrase.with_name(f"passphrase.{secrets.token_hex(4)}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(base64.b64encode(secrets.token_bytes(32)) + b"\n")
    if not _has_text(passphrase):
        passphrase.unlink(missing_ok=True)
    # Of two first runs at once one wins, and both use its passphrase.
    with suppress(FileExistsError):
        os.link(fresh, passphrase)
    fresh.unlink()


def _has_text(file: Path) -> bool:
    return file.is_file() and bool(file.stat().st_size)
