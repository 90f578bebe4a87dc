"""A small Debian as a file tree, made by debootstrap: the ground that the stand-in images stand on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolchain.processes import Stopped, run, tied_to_us
from toolchain.progress import Failure

SUITE = "trixie"
HOST_CERTIFICATES = Path("/usr/local/share/ca-certificates")
MEND = "see that this machine reaches its Debian mirror, then run this again"

# Documentation and translations are half the size; the second file keeps packages from bringing them back.
TRIMMED = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale")
EMPTIED = ("var/lib/apt/lists", "var/cache/apt", "var/cache/debconf", "var/log", "tmp", "dev")
HOSTS_OWN = ("etc/resolv.conf", "etc/hostname", "var/cache/ldconfig/aux-cache")
SETTINGS = {
    "etc/dpkg/dpkg.cfg.d/stand-in": "force-unsafe-io\n"
    + "".join(f"path-exclude /{folder}/*\n" for folder in TRIMMED)
    + "path-include /usr/share/doc/*/copyright\npath-include /usr/share/locale/locale.alias\n",
    "etc/apt/apt.conf.d/stand-in": 'Acquire::Languages "none";\n'
    'Acquire::Retries "3";\n'
    'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };\n',
}


@dataclass(frozen=True)
class Mirrors:
    """Where this machine takes Debian from; None for what is to be Debian's default, or left out."""

    main: str | None
    security: str | None

    @classmethod
    def of(cls, sources: Sequence[str]) -> Mirrors:
        """The first source of each kind, in the order of apt's files."""
        return cls(_first("debian", sources), _first("debian-security", sources))


def _first(archive: str, sources: Sequence[str]) -> str | None:
    # A mirror with a password in its address is not for an image.
    return next((source for source in sources if source.rsplit("/", 1)[-1] == archive and "@" not in source), None)


def make(root: Path, certificates: Sequence[Path], mirrors: Mirrors) -> None:
    """Fill `root` with a minimal Debian that trusts the host's own certificates. Needs root. Raises Failure."""
    command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, str(root)]
    with readable_by_all():
        run(contained([*command, *([mirrors.main] if mirrors.main else [])]), "debootstrap of a small Debian", MEND)
        write_sources(root, mirrors.security)
        trust(root, certificates)
        trim(root)


@contextmanager
def readable_by_all() -> Iterator[None]:
    """New files have the modes of a system's, whatever the user's umask: in containers they are others' to read."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def contained(command: Sequence[str]) -> list[str]:
    """The command with mounts and processes of its own: whatever kills it, no mount and no process stays behind."""
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--", *command]


def write_sources(root: Path, security: str | None) -> None:
    """Add updates, and security updates where the host has a mirror of them, to what debootstrap wrote."""
    file = root / "etc/apt/sources.list"
    main = file.read_text().split()[1]
    lines = [f"deb {main} {SUITE} main", f"deb {main} {SUITE}-updates main"]
    if security:
        lines.append(f"deb {security} {SUITE}-security main")
    file.write_text("\n".join(lines) + "\n")


def trust(root: Path, certificates: Sequence[Path]) -> None:
    """Make the tree trust more certificates, in the way that survives an update of the package."""
    for index, certificate in enumerate(certificates):
        # Numbered: two folders of the host may hold files of one name.
        shutil.copyfile(certificate, root / HOST_CERTIFICATES.relative_to("/") / f"{index}-{certificate.name}")
    run(contained(["chroot", str(root), "update-ca-certificates"]), "update-ca-certificates in the new tree", MEND)


def trim(root: Path) -> None:
    """Leave out what an image does not need, and what is the host's alone."""
    for folder in TRIMMED:
        for path in sorted((root / folder).rglob("*"), reverse=True):
            if path.is_symlink() or (path.is_file() and path.name != "copyright"):
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()
    for folder in EMPTIED:
        # The folders stay: apt wants its own to be there.
        for path in list((root / folder).rglob("*")):
            if path.is_symlink() or not path.is_dir():
                path.unlink()
    for name in HOSTS_OWN:
        (root / name).unlink(missing_ok=True)
    for name, text in SETTINGS.items():
        (root / name).write_text(text)


def archive(root: Path) -> Iterator[bytes]:
    """The tree as a tar stream, numeric owners and all. Raises Failure if tar does."""
    command = ["tar", "--create", "--numeric-owner", "--directory", str(root), "."]
    process = subprocess.Popen(tied_to_us(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        while chunk := process.stdout.read(1 << 20):
            yield chunk
        if process.wait() != 0:
            raise Failure(
                "stand-in-not-packed",
                "packing the small Debian",
                "run this again",
                process.stderr.read().decode(errors="replace"),
            )
    except GeneratorExit:
        raise Stopped from None
    finally:
        process.kill()
        process.communicate()
