"""A sidecar of the caller's own: it runs on a platform, closed like the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import Adminer, DeploymentError, Limits, PlatformArgs, Sidecar
from components.engine.workload import Port, Probe, Workload
from components.image import Image
from components.ports import PublishedPort
from components.services.sidecar import Site
from config.names import key_of

from .deploy import IMAGES, deploy
from .fake_engine import CONTAINER, FakeEngine, Registration, plain

ME = "mlflow-postgres"


@dataclass(frozen=True, kw_only=True)
class Toy:
    """A sidecar that has its sources and its choices for itself."""

    port: int = 7000
    role: str = "toy"
    address: str | None = None
    """Another than the one that it is given."""
    more: Sequence[Port] = ()
    """Ports that its workload opens past the platform."""

    def image(self, images: Path, debian: str) -> Image:
        return Image(context=images / "exporter", base=debian)

    def ports(self, address: str) -> list[PublishedPort]:
        where = self.address or address
        number = self.port
        return [
            PublishedPort(argument="toy.port", role=self.role, container=80, host=number, address=where, usual=7000)
        ]

    def workload(self, site: Site, image: pulumi.Input[str]) -> Workload:
        return Workload(
            image=image,
            user=1234,
            environment={"DATABASE": f"{site.database.host}:{site.database.port}"},
            networks=[site.tracking],
            ports=self.more,
            probe=Probe(command=["ready"]),
            limits=Limits(memory_mb=256),
        )

    def outputs(self, site: Site) -> dict[str, pulumi.Input[str | int]]:
        (port,) = self.ports(site.address)
        return {"toy_url": port.url}


def toy(**changes: Any) -> FakeEngine:
    return deploy(sidecars=(Toy(**changes),))


def opened(container: Registration) -> list[tuple[str, int, int]]:
    return [(each["ip"], int(each["external"]), int(each["internal"])) for each in container.inputs["ports"]]


def refused(*sidecars: Sidecar, **changes: Any) -> list[str]:
    with pytest.raises(DeploymentError) as error:
        PlatformArgs(images=IMAGES, sidecars=sidecars, **changes)
    return [each.report for each in error.value.errors]


def test_it_is_a_component_with_an_image_and_a_container() -> None:
    added = {name: each for name, each in toy().registered.items() if name not in deploy().registered}
    assert set(added) == {f"{ME}-toy", f"{ME}-toy-image", f"{ME}-toy-server"}
    assert added[f"{ME}-toy"].type == "mlflow-postgres:index:Toy"
    assert {name: each.parent for name, each in added.items()} == {
        f"{ME}-toy": ME,
        f"{ME}-toy-image": f"{ME}-toy",
        f"{ME}-toy-server": f"{ME}-toy",
    }
    assert toy().outputs[f"{ME}-toy"] == [{}], "without register_outputs Pulumi shows it as unfinished"


def test_nobody_else_changes() -> None:
    containers = deploy().of(CONTAINER)
    assert {name: each.raw for name, each in toy().of(CONTAINER).items() if name in containers} == {
        name: each.raw for name, each in containers.items()
    }


def test_it_is_closed_like_the_others() -> None:
    own, others = toy().container("toy").inputs, toy().container("mlflow").inputs
    closed = ("readOnly", "capabilities", "securityOpts", "restart", "wait", "init", "logOpts", "networkMode")
    assert {key: own[key] for key in closed} == {key: others[key] for key in closed}
    assert own["user"] == "1234:1234"
    assert toy().container("toy").joined == {"tracking"}


def test_it_is_on_loopback_unless_open_access_is_allowed() -> None:
    assert opened(toy().container("toy")) == [("127.0.0.1", 7000, 80)]
    engine = deploy(sidecars=(Toy(),), bind_address="192.0.2.7", allow_open_access=True)
    assert opened(engine.container("toy")) == [("192.0.2.7", 7000, 80)]
    assert plain(engine.exports)["toy_url"] == "http://192.0.2.7:7000"


def test_a_port_that_is_open_to_the_network_is_refused() -> None:
    assert refused(Toy(address="0.0.0.0")) == [
        "[sidecar-port-open] toy.port is '0.0.0.0:7000': a sidecar has no TLS: beyond loopback it needs "
        "allow_open_access=True. Mend it with: toy.port='127.0.0.1:7000'"
    ]


def test_a_port_that_is_named_only_in_the_workload_is_not_opened() -> None:
    more = (Port(container=81, host=7001, address="0.0.0.0"),)
    assert opened(toy(more=more).container("toy")) == [("127.0.0.1", 7000, 80)], "nobody has checked it"


@pytest.mark.parametrize(
    ("port", "said"),
    [
        (80, "[port-out-of-range] toy.port is 80: a port is a number from 1024 to 65535. Mend it with: toy.port=7000"),
        (5000, "[port-used-twice] toy.port is 5000: mlflow.port has that port already. Mend it with: toy.port=5001"),
    ],
)
def test_a_port_that_cannot_be_had_is_refused(port: int, said: str) -> None:
    assert refused(Toy(port=port)) == [said]


@pytest.mark.parametrize("role", ["mlflow", "settings", "My-Toy", ""])
def test_a_role_that_it_cannot_have_is_refused(role: str) -> None:
    assert refused(Toy(role=role)) == [
        f"[sidecar-role-invalid] sidecars is {role!r}: the role of a sidecar is one word in lower case that no other "
        "service has. Mend it with: leave sidecars out"
    ]


def test_one_role_is_for_one_sidecar() -> None:
    assert [each.partition("]")[0] for each in refused(Adminer(), Adminer(port=8081))] == ["[sidecar-role-invalid"]


def test_its_setting_is_named_after_the_path_of_its_argument() -> None:
    assert key_of("status_page.port") == "statusPagePort"
