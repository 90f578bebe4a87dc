"""A folder with a Dockerfile, and the name under which what is built from it is known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

JUNK: Final = ("__pycache__", "*~", ".*.sw?", ".#*", "*.orig", "*.rej", ".DS_Store")
"""Names of what Python, editors and systems leave beside the sources. The folders' .dockerignore names the same."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image to build. Reads nothing but its context.

    The paths go into the stack's state: keep them relative, or the plan changes with the checkout's place.
    """

    context: Path
    """The folder that is sent to the engine."""
    base: str
    """Reference of the image to build from, handed to the Dockerfile as BASE_IMAGE."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    dockerfile: Path | None = None
    """Relative to the working directory; `Dockerfile` in the context unless given."""
    sources: Sequence[Path] = ()
    """The files and folders of the context that the image is built from; all of it unless given."""

    @property
    def build_arguments(self) -> dict[str, str]:
        return {"BASE_IMAGE": self.base, **self.arguments}

    @property
    def bases(self) -> list[str]:
        """The images that building it needs: those that an argument called ..._IMAGE names."""
        return [value for name, value in self.build_arguments.items() if name.endswith("_IMAGE")]

    @property
    def digest(self) -> str:
        """Changes when a file, the base or an argument does; the image's tag is made of it.

        Modes, owners, times and line endings are the checkout's. The Dockerfile gives the image its own, so they build
        nothing.
        """
        digest = hashlib.sha256(repr(sorted(self.build_arguments.items())).encode())
        for path in self._files():
            digest.update(path.relative_to(self.context).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).digest())
        return digest.hexdigest()[:16]

    def _files(self) -> Iterator[Path]:
        if not (self.dockerfile or self.context / "Dockerfile").is_file():
            raise FileNotFoundError(f"{self.context} holds no Dockerfile: name the folder of the image to build")
        for source in self.sources or [self.context]:
            if not source.exists():
                raise FileNotFoundError(f"{source} does not exist: an image is built from it")
            for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
                if path.is_file() and not _is_junk(path.relative_to(self.context)):
                    yield path


def _is_junk(path: Path) -> bool:
    return any(fnmatchcase(part, pattern) for part in path.parts for pattern in JUNK)
