"""The files of a certificate and its key, in PEM."""

from __future__ import annotations

from pathlib import Path

from .names import SettingError

_EXAMPLES = {"CERTIFICATE": "/etc/ssl/fullchain.pem", "PRIVATE KEY": "/etc/ssl/privkey.pem"}


def read_pem(key: str, path: str, kind: str) -> str:
    """The text of the file that a setting names. Raises `SettingError` if it holds no PEM of that kind."""
    example = _EXAMPLES[kind]
    if not path:
        rule = "tls files needs it: the path of a file in PEM"
        raise SettingError("certificate-not-named", key, path, rule=rule, accepted=example)
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        rule = f"the file cannot be read ({reason})"
        raise SettingError("certificate-not-read", key, path, rule=rule, accepted=example) from None
    if f"{kind}-----" not in text:
        raise SettingError("certificate-not-pem", key, path, rule=f"the file holds no {kind} in PEM", accepted=example)
    return text
