"""Settings of the front door: the address, the name, the certificate. What may be open, and to whom."""

from __future__ import annotations

from itertools import product

import pulumi
import pytest
from pulumi.runtime import rpc

from components import PlatformArgs
from config.names import key_of

from .fake_engine import FakeEngine
from .project import CERTIFICATE_FILE, KEY_FILE, load, mended, refusal

ADDRESS = "it must be an IP address of this machine, not a name"
HOSTNAME = "it is a name in lower case such as mlflow.example.com, without scheme, port and path"
NAME = {"hostname": "mlflow.example.com"}
INTERNAL = {**NAME, "tls": "internal"}
FILES = {**NAME, "tls": "files", "tlsCertificateFile": str(CERTIFICATE_FILE), "tlsKeyFile": str(KEY_FILE)}
BEYOND = {"bindAddress": "192.0.2.7"}


REFUSED: list[tuple[dict[str, str], str, str]] = [
    (
        {"signIn": "true", "mlflowVersion": "3.6.0"},
        "mlflowVersion is '3.6.0': with signIn it must be 3.17.0 or newer, for older versions do not ask for it on all "
        "of their addresses.",
        "set mlflowVersion 3.17.2",
    ),
    *(
        ({"bindAddress": address}, f"bindAddress is {address!r}: {ADDRESS}.", "set bindAddress 127.0.0.1")
        for address in ("localhost", "", "256.0.0.1", "127.0.0.1:80", "*", "[::1]", "10.0.0.0/8")
    ),
    *(
        ({"hostname": name}, f"hostname is {name!r}: {HOSTNAME}.", "set hostname mlflow.example.com")
        for name in (
            *("https://mlflow.example.com", "mlflow.example.com:443", "MLFLOW.EXAMPLE.COM", "mlflow.example.com/"),
            *("Mlflow.example.com", "mLflow.example.com", "mlfloW.example.com", "mlflow.example.Com"),
            *("mlflow.example.com.", ".example.com", "a..b", "-a.example.com", "a-.example.com", "*.example.com"),
            *("a b", "läufe.example.com", "a_b.example.com", "a" * 64 + ".example.com", "mlflow.example.com\n"),
        )
    ),
    *(
        (
            {**NAME, "tls": tls},
            f"tls is {tls!r}: it is one of off, internal, files, acme.",
            "set tls internal",
        )
        for tls in ("on", "true", "false", "Internal", "letsencrypt", " off")
    ),
    *(
        (
            {"tls": tls},
            f"tls is {tls!r}: a certificate is made out to a name, and hostname is empty.",
            "set hostname mlflow.example.com",
        )
        for tls in ("internal", "acme")
    ),
    (
        {"hostname": "mlflow", "tls": "acme"},
        "hostname is 'mlflow': tls acme needs a name that the internet knows.",
        "set hostname mlflow.example.com",
    ),
    *(
        (
            {**FILES, key: path},
            f"{key} is {path!r}: {rule}.",
            f"set {key} /etc/ssl/{example}",
        )
        for key, example, kind, other in (
            ("tlsCertificateFile", "fullchain.pem", "CERTIFICATE", KEY_FILE),
            ("tlsKeyFile", "privkey.pem", "PRIVATE KEY", CERTIFICATE_FILE),
        )
        for path, rule in (
            ("", "tls files needs it: the path of a file in PEM"),
            ("nowhere.pem", "the file cannot be read (No such file or directory)"),
            ("tests", "the file cannot be read (Is a directory)"),
            (str(other), f"the file holds no {kind} in PEM"),
        )
    ),
    *(
        ({**INTERNAL, key: port}, f"{key} is {port}: a port is a number from 1 to 65535.", f"set {key} {usual}")
        for key, usual, wrong in (("httpsPort", 443, ("0", "-1", "65536")), ("httpPort", 80, ("-1", "65536")))
        for port in wrong
    ),
    ({**NAME, "httpPort": "0"}, "httpPort is 0: a port is a number from 1 to 65535.", "set httpPort 80"),
    ({**INTERNAL, "httpPort": "443"}, "httpPort is 443: httpsPort has that port already.", "set httpPort 444"),
    (
        {**INTERNAL, "httpsPort": "5432", "postgresPort": "5432"},
        "postgresPort is 5432: httpsPort has that port already.",
        "set postgresPort 5433",
    ),
]

ACCEPTED: list[dict[str, str]] = [
    *({"hostname": name} for name in ("mlflow", "a", "10.example.com", "xn--lufe-loa.example.com", "a-b.c-d.example")),
    INTERNAL,
    FILES,
    {**NAME, "tls": "acme"},
    {**NAME, "tls": "acme", "acmeEmail": "me@example.com"},
    {**INTERNAL, "httpPort": "0"},
    {**INTERNAL, "httpsPort": "1", "httpPort": "2"},
    {**INTERNAL, "httpsPort": "65535", "httpPort": "1023"},
    # One that is not opened takes no port.
    {**INTERNAL, "mlflowPort": "443"},
    {**NAME, "httpsPort": "80"},
    {"httpsPort": "5000", "httpPort": "5000"},
    {"tlsCertificateFile": "not used", "tlsKeyFile": "not used"},
    *({"bindAddress": address} for address in ("127.0.0.1", "127.0.0.2", "::1")),
]


@pytest.mark.parametrize(("changes", "said", "command"), REFUSED)
def test_an_invalid_address_setting_is_refused_with_its_remedy(
    changes: dict[str, str], said: str, command: str
) -> None:
    message = refusal(changes)
    assert message == f"{said} Mend it with: bin/pulumi config {command}"
    load(mended(changes, message))


@pytest.mark.parametrize("changes", ACCEPTED, ids=str)
def test_an_address_setting_at_its_limit_is_accepted(changes: dict[str, str]) -> None:
    load(changes)


@pytest.mark.parametrize("address", ["192.0.2.7", "0.0.0.0", "::", "10.0.0.1", "2001:db8::7"])
@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, "signIn true and tls"),
        ({"signIn": "true"}, "tls"),
        (INTERNAL, "signIn true"),
        (NAME, "signIn true and tls"),
    ],
    ids=str,
)
def test_an_open_address_names_the_missing_settings(changes: dict[str, str], missing: str, address: str) -> None:
    changes = {**changes, "bindAddress": address}
    message = refusal(changes)
    assert message == (
        f"bindAddress is {address!r}: beyond loopback everybody who reaches it reads and writes the runs: it needs "
        f"{missing}, or iUnderstandThisIsOpen true. Mend it with: bin/pulumi config set bindAddress 127.0.0.1"
    )
    load(mended(changes, message))


@pytest.mark.parametrize(
    "changes", [{**INTERNAL, "signIn": "true"}, {**FILES, "signIn": "true"}, {"iUnderstandThisIsOpen": "true"}], ids=str
)
def test_an_open_address_is_protected_or_explicitly_open(changes: dict[str, str]) -> None:
    assert load({**BEYOND, **changes}).bind_address == "192.0.2.7"


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({}, "127.0.0.1"),
        ({**BEYOND, **INTERNAL, "signIn": "true"}, "127.0.0.1"),
        ({**BEYOND, "iUnderstandThisIsOpen": "true"}, "192.0.2.7"),
    ],
    ids=str,
)
def test_postgresql_and_adminer_are_published_on_loopback_only(changes: dict[str, str], address: str) -> None:
    assert load(changes).unencrypted_address == address, (
        "a password for the database would cross the network in the clear"
    )


@pytest.mark.parametrize(
    ("changes", "ports"),
    [
        ({}, {"mlflowPort": 5000}),
        (INTERNAL, {"httpsPort": 443, "httpPort": 80}),
        ({**INTERNAL, "httpPort": "0"}, {"httpsPort": 443}),
        (NAME, {"httpPort": 80}),
    ],
    ids=str,
)
def test_the_published_ports_are_the_settings_ports(changes: dict[str, str], ports: dict[str, int]) -> None:
    assert published(load(changes)) == ports, "the host is checked for these"
    more = {"postgresPort": 5432, "adminerPort": 8080}
    assert published(load({**changes, "postgresPort": "5432", "adminer": "true"})) == ports | more


def published(args: PlatformArgs) -> dict[str, int]:
    return {key_of(each.argument): each.host for each in args.published_ports}


def test_the_private_key_is_secret(engine: FakeEngine) -> None:
    args = load(FILES)
    assert args.endpoint
    key = args.endpoint.key
    engine.run(lambda: pulumi.export("key", key))
    assert rpc.is_rpc_secret(engine.exports["key"])
    assert KEY_FILE.read_text() not in repr(args)


@pytest.mark.parametrize(
    ("tls", "email"), [*product(["acme", "internal"], ["me", "a b@example.com", "me@example.com\n"])]
)
def test_an_invalid_mail_address_is_refused_by_the_settings(tls: str, email: str) -> None:
    changes = {**NAME, "tls": tls, "acmeEmail": email}
    message = refusal(changes)
    assert message.startswith(f"acmeEmail is {email!r}: ")
    load(mended(changes, message))


def test_a_name_that_is_too_long_for_any_name_is_refused() -> None:
    name = ".".join(["a" * 60] * 5)
    assert refusal({"hostname": name}).startswith(f"hostname is {name!r}: "), "Caddy's file would be refused later"


@pytest.mark.parametrize("number", ["nan", "inf"])
@pytest.mark.parametrize("key", ["mlflowCpus", "postgresCpus"])
def test_a_number_of_processors_must_be_finite(key: str, number: str) -> None:
    assert refusal({key: number}).startswith(f"{key} is {number}: ")
