"""A folder with a Dockerfile, and the name under which what is built from it is known."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image to build. Reads nothing but its own folder.

    The folder's path goes into the stack's state: keep it relative, or the plan changes with the checkout's place.
    """

    context: Path
    base: str
    """Reference of the image to build from, handed to the Dockerfile as BASE_IMAGE."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    unused: Collection[Path] = ()
    """Files of the folder that this image does not use: a change to them builds nothing."""

    @property
    def build_arguments(self) -> dict[str, str]:
        return {"BASE_IMAGE": self.base, **self.arguments}

    @property
    def bases(self) -> list[str]:
        """The images that building it needs: those that an argument called ..._IMAGE names."""
        return [value for name, value in self.build_arguments.items() if name.endswith("_IMAGE")]

    @property
    def digest(self) -> str:
        """Changes when a file, the base or an argument does; the image's tag is made of it."""
        digest = hashlib.sha256(repr(sorted(self.build_arguments.items())).encode())
        for path in self._files():
            digest.update(path.relative_to(self.context).as_posix().encode() + b"\0")
            digest.update(b"x" if path.stat().st_mode & 0o100 else b"-")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:16]

    def _files(self) -> Iterator[Path]:
        if not (self.context / "Dockerfile").is_file():
            raise FileNotFoundError(f"{self.context} holds no Dockerfile: name the folder of the image to build")
        for path in sorted(self.context.rglob("*")):
            # Python's own cache, which the folder's .dockerignore names too.
            if path.is_file() and path not in self.unused and "__pycache__" not in path.parts:
                yield path
