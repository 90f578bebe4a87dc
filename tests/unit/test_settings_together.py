"""Settings beside each other: all that is wrong is told at once, and what has no effect is said."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import yaml

from .deploy import CHECKOUT
from .project import CERTIFICATE_FILE, KEY_FILE, load, mended, refusal

GATEWAY = {"hostname": "mlflow.example.com", "tls": "internal"}


def told(changes: dict[str, str]) -> list[str]:
    return refusal(changes).splitlines()


def test_all_errors_are_reported_at_once_each_with_its_remedy() -> None:
    """One bad setting told at each `up` made as many of them as there were mistakes."""
    changes = {
        **{"mlflowPort": "80", "adminer": "true", "adminerPort": "70000", "postgresVersion": "12"},
        **{"mlflowVersion": "latest", "postgresUser": "pg_me", "postgresDatabase": "My Runs", "mlflowWorkers": "1"},
        **{"mlflowMemory": "4", "postgresMemory": "4", "mlflowCpus": "-1", "postgresCpus": "-1", "pythonImage": ""},
        **{"debianImage": "", "credentialsVersion": "0", "gcAfterDays": "-1", "bindAddress": "localhost"},
        **{"tls": "files", "hostname": "A", "acmeEmail": "me", "mlflowprot": "1", "keepsData": "1"},
        "postgresSettings": '{"fsync": "on", "My": 1, "work_mem": "64MB"}',
        "allowedHosts": '["https://a", "fine.lan", "b:80"]',
    }
    lines = told(changes)
    wrong = [line.partition(" is ")[0] for line in lines]
    assert sorted(wrong) == sorted(
        [
            # With a hostname nobody opens mlflowPort.
            *(set(changes) - {"mlflowPort", "adminer", "postgresSettings", "allowedHosts", "tls"}),
            *("postgresSettings.fsync", "postgresSettings.My", "allowedHosts[0]", "allowedHosts[2]"),
            *("tlsCertificateFile", "tlsKeyFile"),
        ]
    )
    for line in lines:
        changes = mended(changes, line)
    load(changes)


def test_clashing_ports_get_different_suggestions() -> None:
    changes = {"mlflowPort": "6000", "postgresPort": "6000", "adminer": "true", "adminerPort": "6000"}
    for line in told(changes):
        changes = mended(changes, line)
    load(changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"allowedHosts": '"mlflow.lan"'}, "allowedHosts is 'mlflow.lan': it is a list of names."),
        *(
            (
                {"allowedHosts": f'["{host}"]'},
                f"allowedHosts[0] is {host!r}: it is a name in lower case such as mlflow.lan, or an address, without "
                "scheme, port and path.",
            )
            for host in ("", "*", "*.lan", "A.lan", "http://a", "a:80", "[::1]", "a/b", "a,b", "10.0.0.0/8")
        ),
        *(
            (
                {**GATEWAY, "tls": "acme", "allowedHosts": f'["{host}"]'},
                f"allowedHosts[0] is {host!r}: tls acme needs a name that the internet knows.",
            )
            for host in ("mlflow", "192.0.2.7", "2001:db8::7")
        ),
    ],
)
def test_an_invalid_name_is_refused(changes: dict[str, str], said: str) -> None:
    (line,) = told(changes)
    assert line.startswith(f"{said} Mend it with: bin/pulumi config ")
    load(mended(changes, line))


@pytest.mark.parametrize("changes", [{}, GATEWAY], ids=str)
def test_names_and_addresses_of_both_kinds_may_be_added(changes: dict[str, str]) -> None:
    hosts = ["mlflow.lan", "mlflow", "192.0.2.7", "2001:db8::7"]
    assert load({**changes, "allowedHosts": json.dumps(hosts)}).allowed_hosts == hosts


FILES = {"tlsCertificateFile": str(CERTIFICATE_FILE), "tlsKeyFile": str(KEY_FILE)}
WITHOUT_EFFECT = [
    ({**GATEWAY, "mlflowPort": "5001"}, "mlflowPort is 5001 and has no effect: with hostname"),
    ({"httpsPort": "4443"}, "httpsPort is 4443 and has no effect: only a gateway with TLS has it"),
    ({"hostname": "a", "httpsPort": "4443"}, "httpsPort is 4443 and has no effect: only a gateway with TLS has it"),
    ({"httpPort": "8000"}, "httpPort is 8000 and has no effect: only a gateway has it"),
    ({"adminerPort": "8000"}, "adminerPort is 8000 and has no effect: it needs adminer true"),
    ({"mlflowMetricsPort": "9000"}, "mlflowMetricsPort is 9000 and has no effect: it needs metrics true"),
    ({"postgresMetricsPort": "9000"}, "postgresMetricsPort is 9000 and has no effect: it needs metrics true"),
    ({"acmeEmail": "a@example.com"}, "acmeEmail is a@example.com and has no effect: it needs tls acme"),
    *(({key: path}, f"{key} is {path} and has no effect: it needs tls files") for key, path in FILES.items()),
    ({"iUnderstandThisIsOpen": "true"}, "iUnderstandThisIsOpen is true and has no effect: nothing is open"),
]


@pytest.mark.parametrize(("changes", "said"), WITHOUT_EFFECT, ids=lambda value: str(value)[:40])
def test_a_setting_without_effect_is_reported(
    changes: dict[str, str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        load(changes)
    (line,) = caplog.messages
    assert line.startswith(said)
    caplog.clear()
    load(mended(changes, line))
    assert caplog.messages == []


@pytest.mark.parametrize("file", [None, "Pulumi.dev.yaml", "Pulumi.prod.example.yaml"])
def test_default_settings_give_no_warning(file: str | None, caplog: pytest.LogCaptureFixture) -> None:
    chosen = yaml.safe_load(Path(CHECKOUT, file).read_text())["config"] if file else {}
    load({key.removeprefix("mlflow-postgres:"): str(value) for key, value in chosen.items()})
    assert caplog.messages == []


@pytest.mark.parametrize(
    "changes",
    [
        {**GATEWAY, "httpsPort": "4443", "httpPort": "8000"},
        {**GATEWAY, "httpPort": "0"},
        {**GATEWAY, "tls": "acme", "acmeEmail": "a@example.com"},
        {**GATEWAY, "tls": "files", **FILES},
        {"adminer": "true", "adminerPort": "8000", "metrics": "true", "mlflowMetricsPort": "9000"},
        {"bindAddress": "0.0.0.0", "iUnderstandThisIsOpen": "true"},
    ],
    ids=str,
)
def test_a_setting_with_an_effect_gives_no_warning(changes: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    load(changes)
    assert caplog.messages == []
