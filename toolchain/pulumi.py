"""Builds Pulumi and its plugins from Go modules, unless the user has a Pulumi."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain import golang
from toolchain.cache import broken_file, key_of, remove_tree, replace_link, scratch, write_manifest
from toolchain.processes import ignore_line, run
from toolchain.progress import Failure, say, step

GO = Path(__file__).with_name("go")
CHECKOUT = GO.parent.parent
# The same versions as in requirements.in. If a plugin and its Python SDK differ, Pulumi tries to download one.
PLUGINS = {"docker": "5.2.0", "random": "4.21.4"}
CLI = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
LANGUAGE_HOST = "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
SDK = "github.com/pulumi/pulumi/sdk/v3"
# Without the tag, the Docker provider includes docker-compose: 170 packages for a resource that we do not use.
BUILD_FLAGS = ("-trimpath", "-tags", "no_compose")
PROGRAMS = ("pulumi", "pulumi-language-python", "pulumi-language-python-exec")
# Measured: modules 2.4 GB, compiled packages 3.1 GB, two copies of the programs during the move 0.6 GB.
NEEDED_BYTES = 7 * 10**9
MEND = "read what Go says above, mend that (often the way to the Go module proxy), then run this again"


@dataclass(frozen=True)
class Layout:
    """Paths below the project's cache. `bin/pulumi` uses `bin` and `home`."""

    cache: Path

    @property
    def root(self) -> Path:
        """The folder for Pulumi."""
        return self.cache / "pulumi"

    @property
    def bin(self) -> Path:
        """The folder for PATH: a link to the programs of the current build."""
        return self.root / "bin"

    @property
    def home(self) -> Path:
        """PULUMI_HOME, with the plugins."""
        return self.root / "home"

    def build(self, key: str) -> Path:
        """The build from the inputs with this key."""
        return self.root / f"build-{key}"

    def manifest(self, key: str) -> Path:
        """The manifest of a build."""
        return self.build(key) / "manifest.json"

    def files(self, key: str) -> list[Path]:
        """All files of a build, including the installed plugins."""
        plugins = (
            self.home / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}"
            for name, version in PLUGINS.items()
        )
        return [*(self.build(key) / "bin" / name for name in PROGRAMS), *plugins]


def users_own_pulumi(path: str, ours: tuple[Path, ...]) -> Path | None:
    """A `pulumi` on PATH that is not in `ours` (this checkout, the cache), also after links are resolved."""
    for folder in path.split(os.pathsep):
        found = shutil.which("pulumi", path=folder) if folder else None
        if found is None:
            continue
        places = (Path(os.path.abspath(found)), Path(found).resolve())
        if not any(place.is_relative_to(own) for place in places for own in (*ours, *(own.resolve() for own in ours))):
            return Path(found)
    return None


def ensure_pulumi(cache: Path) -> None:
    """Make sure that there is a Pulumi with its plugins. Raises Failure."""
    layout = Layout(cache)
    if users_own_pulumi(os.environ.get("PATH", ""), (CHECKOUT / "bin", layout.root)):
        return
    key = build_key()
    broken = broken_file(layout.manifest(key), layout.root)
    if broken is None:
        if not layout.bin.is_symlink() or os.readlink(layout.bin) != f"{layout.build(key).name}/bin":
            replace_link(layout.bin, f"{layout.build(key).name}/bin")
        return
    if broken:
        say(f"{layout.root / broken} differs from the build; building it again")
    check_space(cache)
    go = golang.find_go(golang.needed_version(GO / "pulumi" / "go.mod"), cache)
    environment = build_environment(cache)
    with scratch(cache, "pulumi") as folder:
        build_programs(go, folder, environment)
        install_build(layout, key, folder)
    remove_old_builds(layout, key)


def build_key() -> str:
    """A hash of everything that the programs are built from."""
    flags = [*BUILD_FLAGS, *(f"{name}={version}" for name, version in PLUGINS.items())]
    return key_of([GO / "pulumi", GO / "language-python", GO / "shims", *flags, platform.system(), platform.machine()])


def module_version(go_mod: Path, module: str) -> str:
    """The version of a module that a go.mod requires."""
    found = re.search(rf"^(?:require )?\s*{re.escape(module)} (v\S+)", go_mod.read_text(), re.MULTILINE)
    assert found, f"{go_mod} does not require {module}"
    return found[1]


def build_environment(cache: Path, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for Go: the user's ways to the network, but nothing of theirs that changes what is built."""
    unwanted = ("GOOS", "GOARCH", "GOEXPERIMENT", "GODEBUG", "GOROOT", "GO111MODULE")
    kept = {name: value for name, value in base.items() if name not in unwanted}
    return {
        **kept,
        "GOFLAGS": "-mod=readonly -buildvcs=false -modcacherw",  # modcacherw: or `rm -rf` of the cache fails
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",  # a machine without a C compiler builds the same programs
        "GOCACHE": str(cache / "go" / "build"),
        "GOMODCACHE": str(cache / "go" / "mod"),
    }


def check_space(cache: Path) -> None:
    """Raise Failure before hours-old patience is lost to a full disk."""
    free = shutil.disk_usage(cache).free
    if free < NEEDED_BYTES:
        raise Failure(
            "cache-too-small",
            f"building Pulumi needs {NEEDED_BYTES / 1e9:.0f} GB in {cache}, and {free / 1e9:.1f} GB are free",
            "free some space, or point XDG_CACHE_HOME at another disk; then run this again",
        )


def build_programs(go: Path, folder: Path, environment: Mapping[str, str]) -> None:
    """Build the programs and plugins into `folder`, in one call, because they share half of their packages."""
    module = GO / "pulumi"
    names = [CLI, *(f"./pulumi-resource-{name}" for name in PLUGINS)]
    total, done = 0, 0

    def count(line: str) -> None:
        nonlocal done
        done += not line.startswith("go: ")

    def progress() -> str:
        return f"compiled {done} of at most {total} packages" if total else "fetching the modules"

    versions = {
        f"{SDK}/go/common/version.Version": module_version(module / "go.mod", SDK),
        **{f"main.{name}Version": version for name, version in PLUGINS.items()},
    }
    with step("building Pulumi and its plugins from Go modules (minutes; only this once)", progress):
        listing = [str(go), "list", *BUILD_FLAGS, "-deps", *names]
        run(listing, "fetching Pulumi's Go modules", MEND, env=environment, cwd=module, each_line=count)
        total, done = done, 0
        build(go, folder, names, versions, environment, module, each_line=count)
        language = GO / "language-python"
        its_version = {f"{SDK}/go/common/version.Version": module_version(language / "go.mod", SDK)}
        build(go, folder, [LANGUAGE_HOST], its_version, environment, language)
        copy_exec_script(go, folder, environment)


def build(
    go: Path,
    folder: Path,
    names: list[str],
    versions: Mapping[str, str],
    environment: Mapping[str, str],
    module: Path,
    each_line: Callable[[str], None] = ignore_line,
) -> None:
    """Build the named commands of a module into `folder`, and set their version strings."""
    linker = " ".join(["-s", "-w", *(f"-X {name}={version}" for name, version in versions.items())])
    command = [str(go), "build", "-v", *BUILD_FLAGS, "-ldflags", linker, "-o", f"{folder}/", *names]
    run(command, f"building {' '.join(names)}", MEND, env=environment, cwd=module, each_line=each_line)


def vet(cache: Path) -> None:
    """Run `go vet` on our Go sources, unless the user has a Pulumi. Raises Failure."""
    if users_own_pulumi(os.environ.get("PATH", ""), (CHECKOUT / "bin", Layout(cache).root)):
        say("go vet: skipped, because this machine has its own Pulumi")
        return
    go = golang.find_go(golang.needed_version(GO / "pulumi" / "go.mod"), cache)
    environment = build_environment(cache)
    with step("go vet"):
        shims = [path.read_text().split()[1] for path in sorted((GO / "shims").glob("*/go.mod"))]
        command = [str(go), "vet", *BUILD_FLAGS, "./...", *shims]
        run(command, "go vet", "mend what it says", env=environment, cwd=GO / "pulumi")


def copy_exec_script(go: Path, folder: Path, environment: Mapping[str, str]) -> None:
    """Copy the script that the language host expects beside itself. It has the CLI's and the Python SDK's version."""
    asked = [str(go), "list", "-m", "-f", "{{.Dir}}", SDK]
    place = run(asked, "looking for Pulumi's SDK", MEND, env=environment, cwd=GO / "pulumi").strip().splitlines()[-1]
    script = folder / "pulumi-language-python-exec"
    shutil.copyfile(Path(place) / "python" / "cmd" / script.name, script)
    script.chmod(0o755)


def install_build(layout: Layout, key: str, folder: Path) -> None:
    """Install the build. The manifest is written last: without it, the next run builds again."""
    layout.home.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PULUMI_HOME": str(layout.home), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    for name, version in PLUGINS.items():
        binary = folder / f"pulumi-resource-{name}"
        run(
            [
                *[str(folder / "pulumi"), "plugin", "install", "resource", name, version],
                *["--file", str(binary), "--reinstall", "--non-interactive"],
            ],
            f"installing the plugin {name} {version}",
            "run this again",
            env=environment,
        )
    programs = folder / "build" / "bin"
    programs.mkdir(parents=True)
    for name in PROGRAMS:
        (folder / name).replace(programs / name)
    remove_tree(layout.build(key))
    programs.parent.replace(layout.build(key))
    replace_link(layout.bin, f"{layout.build(key).name}/bin")
    write_manifest(layout.manifest(key), layout.root, layout.files(key))


def remove_old_builds(layout: Layout, key: str) -> None:
    """Delete the builds with other keys. A checkout that needs one can rebuild it from Go's cache."""
    for old in layout.root.glob("build-*"):
        if old != layout.build(key):
            remove_tree(old)
