"""toolchain/rootfs.py: the small Debian that is the base of the stand-ins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from toolchain import rootfs


def test_the_small_debian_is_readable_by_all_users_with_any_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under `umask 077` the stand-in's certificates were root's exclusive_lock, and no service could check one."""
    root, certificate = tmp_path / "root", tmp_path / "own.crt"
    certificate.touch()

    def debootstrap(command: Sequence[str], *_: str) -> str:
        if "debootstrap" in command:
            for name in ("etc/apt/apt.conf.d", "etc/dpkg/dpkg.cfg.d", "usr/local/share/ca-certificates"):
                (root / name).mkdir(parents=True)
            (root / "etc/apt/sources.list").write_text("deb http://one/debian trixie main\n")
        return ""

    monkeypatch.setattr(rootfs, "run", debootstrap)
    before = os.umask(0o077)
    try:
        rootfs.make(root, [certificate], rootfs.Mirrors(None, None))
        assert os.umask(0o077) == 0o077, "what is the user's own stays so"
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in root.rglob("*") if path.is_file()}
    assert modes == {0o644}
