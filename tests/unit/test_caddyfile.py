"""What Caddy is told, read as text. That Caddy takes it, and does it, is for the integration tests to prove."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from components import Tls
from components.services.caddyfile import API_BODY_DIGITS, UPLOAD, caddyfile

WITH_TLS = [mode for mode in Tls if mode != Tls.OFF]


def written(
    tls: str = Tls.INTERNAL,
    *,
    hostname: str = "mlflow.example.org",
    https_port: int = 443,
    http_port: int = 80,
    acme_email: str = "",
    allowed_hosts: Sequence[str] = (),
) -> str:
    return caddyfile(
        hostname=hostname,
        tls=Tls(tls),
        https_port=https_port,
        http_port=http_port,
        upstream="mlflow:5000",
        acme_email=acme_email,
        allowed_hosts=allowed_hosts,
    )


def block(text: str, head: str) -> str:
    """The lines of a block that begins at the margin."""
    found = re.search(rf"^{re.escape(head)} \{{\n(.*?)^\}}", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no {head}"
    return found[1]


def sites(text: str) -> set[str]:
    return set(re.findall(r"^(https?://\S+) \{", text, re.MULTILINE))


@pytest.mark.parametrize("tls", list(Tls))
def test_braces_are_balanced_and_tabs_indent(tls: str) -> None:
    text = written(tls)
    assert text.count("{") == text.count("}")
    assert "    " not in text, "Caddy warns of it at every start"


def test_without_tls_there_is_plain_http_alone() -> None:
    text = written("off")
    assert sites(text) == {"http://mlflow.example.org:8080", "http://:8080"}
    assert "import mlflow" in block(text, "http://mlflow.example.org:8080")
    assert "Strict-Transport-Security" not in text
    assert "auto_https off" in text


@pytest.mark.parametrize("tls", WITH_TLS)
def test_with_tls_plain_http_only_redirects(tls: str) -> None:
    text = written(tls)
    plain = block(text, "http://mlflow.example.org:8080")
    assert "redir https://mlflow.example.org{uri} 308" in plain
    assert "import mlflow" not in plain, "a password would travel in the clear"
    assert "import mlflow" in block(text, "https://mlflow.example.org:8443")


@pytest.mark.parametrize("tls", WITH_TLS)
def test_a_redirect_names_the_port_that_the_host_publishes(tls: str) -> None:
    assert "redir https://mlflow.example.org:9443{uri} 308" in written(tls, https_port=9443)


@pytest.mark.parametrize("tls", WITH_TLS)
def test_an_http_port_that_is_not_published_is_not_opened(tls: str) -> None:
    assert sites(written(tls, http_port=0)) == {"https://mlflow.example.org:8443", "https://:8443"}


@pytest.mark.parametrize("tls", list(Tls))
def test_every_listener_turns_away_other_names(tls: str) -> None:
    text = written(tls)
    strangers = {each for each in sites(text) if re.fullmatch(r"https?://:\d+", each)}
    assert {each.rpartition(":")[2] for each in sites(text)} == {each.rpartition(":")[2] for each in strangers}
    assert all("import stranger" in block(text, each) for each in strangers)
    assert "403" in block(text, "(stranger)")


@pytest.mark.parametrize("tls", WITH_TLS)
def test_nothing_older_than_tls_1_2_is_spoken(tls: str) -> None:
    site = block(written(tls), "https://mlflow.example.org:8443")
    assert "protocols tls1.2 tls1.3" in site
    assert 'Strict-Transport-Security "max-age=31536000"' in site, "without preload: that is the domain's owner's"


def test_a_certificate_from_files_is_never_replaced_by_another() -> None:
    text = written("files")
    assert "tls /run/secrets/certificate.pem /run/secrets/key.pem {" in text
    assert "auto_https off" in text, "a name that the file lacks would be asked of a public authority"


def test_let_s_encrypt_is_asked_only_in_ways_that_can_arrive() -> None:
    assert "disable_http_challenge" in written("acme", http_port=0)
    assert "disable_http_challenge" not in written("acme")
    assert "email ops@example.org" in written("acme", acme_email="ops@example.org")


def test_an_address_is_served_to_a_client_that_names_none() -> None:
    """Who comes by an address is answered, and told by what name to come; cut off, nobody knows what is wrong."""
    assert "default_sni mlflow.example.org" in written()
    assert "default_sni mlflow.example.org" in written("files")
    assert "default_sni" not in written("off")
    assert "tls /run/secrets/certificate.pem" in block(written("files"), "https://:8443")
    known = "This server is https://mlflow.example.org:9443, and not known by the name that you came by."
    assert known in block(written(https_port=9443), "(stranger)")
    assert "This server is http://mlflow.example.org, and" in block(written("off"), "(stranger)")


@pytest.mark.parametrize("tls", list(Tls))
def test_more_names_are_served_as_the_first_is(tls: str) -> None:
    text = written(tls, allowed_hosts=["mlflow.lan", "192.0.2.7", "2001:db8::7", "mlflow.example.org"])
    scheme, port = ("http", 8080) if tls == "off" else ("https", 8443)
    first = block(text, f"{scheme}://mlflow.example.org:{port}")
    for host in ("mlflow.lan", "192.0.2.7", "[2001:db8::7]"):
        assert block(text, f"{scheme}://{host}:{port}") == first
        if tls != "off":
            assert f"redir https://{host}{{uri}} 308" in block(text, f"http://{host}:8080")


@pytest.mark.parametrize("host", ["", "a b", "a{", "https://a", "a:443", "a\n}", "*", "*.lan", "[::1]"])
def test_another_name_that_could_say_more_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"hostname is .*: it must be a host name"):
        written(allowed_hosts=[host])


@pytest.mark.parametrize(
    "path", ["/api/2.0/mlflow-artifacts/artifacts/1/a", "/ajax-api/2.0/mlflow-artifacts/artifacts/a"]
)
def test_uploads_have_no_limit(path: str) -> None:
    assert re.search(UPLOAD, path)


@pytest.mark.parametrize(
    "path",
    [
        "/API/2.0/mlflow-artifacts/artifacts/a",
        "//api/2.0/mlflow-artifacts/artifacts/a",
        "/x/../api/2.0/mlflow-artifacts/artifacts/a",
        "/api%2F2.0/mlflow-artifacts/artifacts/a",
        "/api/2.0/mlflow-artifacts/mpu/create/a",
        "/ajax-api/2.0/mlflow/upload-artifact",
    ],
)
def test_what_mlflow_reads_into_memory_has_a_limit(path: str) -> None:
    assert not re.search(UPLOAD, path)


def test_a_large_call_is_refused_before_it_is_read() -> None:
    mlflow = block(written(), "(mlflow)")
    assert f"@large header_regexp Content-Length [0-9]{{{API_BODY_DIGITS}}}" in mlflow
    assert mlflow.index("handle @upload") < mlflow.index("handle @large") < mlflow.index("handle {")
    assert "max_size 100000000" in block(written(), "(limited)"), "for a body that does not say its length"


def test_no_request_with_a_body_is_repeated_or_buffered() -> None:
    text = written()
    assert "buffer_requests" not in text, "Caddy 2.6 mixes up the bodies of clients"
    proxies = re.findall(r"(reverse_proxy|forward_auth) mlflow:5000 \{(.*?)\}", block(text, "(mlflow)"), re.DOTALL)
    patient = ["import patiently" in lines for _, lines in proxies]
    assert [name for name, _ in proxies] == [
        "forward_auth",
        "reverse_proxy",
        "reverse_proxy",
        "forward_auth",
        "reverse_proxy",
    ]
    assert patient == [True, False, True, True, False], "only what is sent without a body may be tried again"
    seen_once = ["lb_retry_match method NONE" in lines for _, lines in proxies]
    assert seen_once == [False, False, True, False, False], "a question that MLflow died of would be asked 120 times"


@pytest.mark.parametrize("hostname", ["", "a b", "a{", "https://a", "a:443", "a\n}", "-a", "a/b", "a.*"])
def test_a_hostname_that_could_say_more_is_refused(hostname: str) -> None:
    with pytest.raises(ValueError, match=r"hostname is .*: it must be a host name"):
        written(hostname=hostname)


@pytest.mark.parametrize("address", ["a b@example.org", "a@b\n}", "a", "{env.HOME}@example.org"])
def test_a_mail_address_that_could_say_more_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"acme_email is .*: it must be a mail address"):
        written("acme", acme_email=address)
