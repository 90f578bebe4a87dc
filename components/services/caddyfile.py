"""Caddy's configuration: the names of one MLflow server, its certificate, and the limits for its clients."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import dedent, indent
from typing import Final

from contract import paths, ports

from ..endpoint import Tls
from ..engine.workload import in_url

HTTPS_PORT: Final = ports.GATEWAY_HTTPS
"""In the container, where a process without capabilities cannot listen below 1024."""
HTTP_PORT: Final = ports.GATEWAY_HTTP
CERTIFICATE: Final = f"{paths.SECRETS}/{paths.CERTIFICATE}"
KEY: Final = f"{paths.SECRETS}/{paths.CERTIFICATE_KEY}"
_MORE_NAMES: Final = "The setting allowedHosts adds others."
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
# An IPv6 address. (An IPv4 address looks like a name.) It has at least two colons, so it is no name with a port.
_ADDRESS: Final = re.compile(r"[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*")

API_BODY_DIGITS: Final = 9
"""An API call whose Content-Length has this many digits, 100 MB or more, is rejected: MLflow reads it into memory. A
pattern sees the number of digits before the body is sent. Caddy's own limit counts bytes that it has passed on."""
HEADERS: Final = "32KB"
"""Enough for a request about 100 runs, whose ids are in the URL, and for a cookie."""
HEADERS_WAIT: Final = "10s"
"""A client has this long for the TLS handshake, and then for the headers of a request."""
IDLE_WAIT: Final = "2m"
"""An idle connection is closed after this time."""
UPSTREAM_IDLE: Final = "3s"
"""uvicorn closes an idle connection after 5 s. A request on a connection that is being closed would be lost."""
DIAL_WAIT: Final = "2s"
RESTART_WAIT: Final = "30s"
"""A request waits this long for an MLflow that accepts no connections. A restart takes about 13 s."""
GRACE: Final = "20s"
"""Transfers may continue this long after the stop signal. The container is killed after 30 s."""
HSTS: Final = "max-age=31536000"
"""One year, in seconds. Sub-domains and the browsers' built-in list are the domain owner's decision."""

UPLOAD: Final = r"^/(ajax-)?api/2\.0/mlflow-artifacts/artifacts/"
"""The only path where MLflow 3.17 streams the body. It is compared with the path as it was sent: Caddy takes /API/ for
the same path, and MLflow would read that body into memory without a limit."""


def caddyfile(
    *,
    hostname: str,
    tls: Tls,
    https_port: int,
    http_port: int,
    upstream: str,
    acme_email: str = "",
    allowed_hosts: Sequence[str] = (),
) -> str:
    """The configuration for Caddy 2.6 in front of one MLflow server.

    The ports are those on the host; an http_port of 0 is not published. upstream is "name:port", as the container
    reaches it. With `Tls.FILES` the certificate is in CERTIFICATE and KEY. Let's Encrypt writes to acme_email.
    Raises ValueError for a name or an address that would add other directives to the configuration.
    """
    for host in (hostname, *allowed_hosts):
        if not (_HOST.fullmatch(host) or (host in allowed_hosts and _ADDRESS.fullmatch(host))):
            raise ValueError(f"hostname is {host!r}: it must be a host name, without scheme and port")
    hosts = [in_url(host) for host in dict.fromkeys([hostname, *allowed_hosts])]
    if not re.fullmatch(r"([A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+)?", acme_email):
        raise ValueError(f"acme_email is {acme_email!r}: it must be a mail address")
    if tls == Tls.OFF:
        end = "" if http_port == 80 else f":{http_port}"
        known = f"http://{hosts[0]}{end}"
        sites = [*(site("http", host, ["import mlflow"]) for host in hosts), site("http", "", ["import stranger"])]
    else:
        end = "" if https_port == 443 else f":{https_port}"
        known = f"https://{hosts[0]}{end}"
        secured = [*certificate(tls, http_port), f'header Strict-Transport-Security "{HSTS}"', "import mlflow"]
        # Another name gets an answer that says so. With files it needs the certificate that there is.
        rejected = [*(certificate(tls, http_port) if tls == Tls.FILES else []), "import stranger"]
        sites = [*(site("https", host, secured) for host in hosts), site("https", "", rejected)]
        if http_port:
            redirect = "redir https://{}{}{{uri}} 308"
            sites += [site("http", host, ["import common", redirect.format(host, end)]) for host in hosts]
            sites.append(site("http", "", ["import stranger"]))
    text = "\n".join([options(hosts[0], tls, acme_email), snippets(upstream, known), *sites])
    # Caddy's own format: otherwise it warns at every start.
    return text.replace("    ", "\t")


def options(hostname: str, tls: Tls, acme_email: str) -> str:
    """Caddy's global options."""
    lines = [
        "admin off",
        # The redirects are ours, because Caddy's leave out the published port. With files, Caddy must not request a
        # certificate for a name that is missing in the given one.
        f"auto_https {'disable_redirects' if tls in (Tls.INTERNAL, Tls.ACME) else 'off'}",
        # The container's user and its read-only root filesystem do not allow it.
        "skip_install_trust",
        f"http_port {HTTP_PORT}",
        f"https_port {HTTPS_PORT}",
        f"grace_period {GRACE}",
        *([f"email {acme_email}"] if acme_email else []),
        # A client that uses an IP address sends no name in the handshake. It gets the answer that names the host.
        *([f"default_sni {hostname}"] if tls != Tls.OFF else []),
        "log {",
        "    output stdout",
        "    format json",
        "    level INFO",
        "}",
        "servers {",
        # Without HTTP/3: its UDP port is not published.
        "    protocols h1 h2",
        f"    max_header_size {HEADERS}",
        "    timeouts {",
        f"        read_header {HEADERS_WAIT}",
        f"        idle {IDLE_WAIT}",
        "    }",
        "}",
    ]
    return block("", lines)


def snippets(upstream: str, known: str) -> str:
    """The snippets that the sites share; known is the URL of this server.

    Caddy 2.6 must neither repeat nor buffer a request with a body: a repeated body is truncated, and a buffer that is
    closed twice is given to two requests, which then send each other's bodies (we saw both). So a request that may have
    a body first waits for an answer to /health, which has none, and is then sent once.
    """
    return dedent(f"""\
        (common) {{
            header {{
                -Server
                X-Content-Type-Options nosniff
                Referrer-Policy same-origin
            }}
            log
            handle_errors {{
                header {{
                    -Server
                    X-Content-Type-Options nosniff
                    Referrer-Policy same-origin
                }}
                respond "{{err.status_code}} {{err.status_text}}"
            }}
        }}

        (stranger) {{
            import common
            respond "This server is {known}, and not known by the name that you came by. {_MORE_NAMES}" 403
        }}

        (once) {{
            flush_interval -1
            transport http {{
                dial_timeout {DIAL_WAIT}
                keepalive {UPSTREAM_IDLE}
            }}
        }}

        (patiently) {{
            lb_try_duration {RESTART_WAIT}
            lb_try_interval 250ms
        }}

        # For a body that does not say its length.
        (limited) {{
            request_body {{
                max_size {10 ** (API_BODY_DIGITS - 1)}
            }}
        }}

        (mlflow) {{
            import common
            @probe {{
                path /health
                remote_ip 127.0.0.1
            }}
            skip_log @probe
            @question method GET HEAD OPTIONS
            @upload {{
                method PUT
                vars_regexp {{http.request.uri}} {UPLOAD}
            }}
            @large header_regexp Content-Length [0-9]{{{API_BODY_DIGITS}}}
            handle @upload {{
                forward_auth {upstream} {{
                    uri /health?
                    import once
                    import patiently
                }}
                reverse_proxy {upstream} {{
                    import once
                }}
            }}
            handle @large {{
                error 413
            }}
            handle @question {{
                import limited
                reverse_proxy {upstream} {{
                    import once
                    import patiently
                    # Never, once MLflow has seen it: it may have died of it.
                    lb_retry_match method NONE
                }}
            }}
            handle {{
                forward_auth {upstream} {{
                    uri /health?
                    import once
                    import patiently
                }}
                import limited
                reverse_proxy {upstream} {{
                    import once
                }}
            }}
        }}
        """)


def certificate(tls: Tls, http_port: int) -> list[str]:
    """The source of the certificate, and the TLS versions."""
    source = {Tls.INTERNAL: "tls internal", Tls.FILES: f"tls {CERTIFICATE} {KEY}", Tls.ACME: "tls"}[tls]
    # A challenge that cannot arrive counts as a failure, and Let's Encrypt allows five an hour.
    challenges = (
        ["    issuer acme {", "        disable_http_challenge", "    }"] if tls == Tls.ACME and not http_port else []
    )
    return [f"{source} {{", "    protocols tls1.2 tls1.3", *challenges, "}"]


def site(scheme: str, hostname: str, lines: list[str]) -> str:
    """The site of a name; an empty name is the site of all other names."""
    return block(f"{scheme}://{hostname}:{HTTPS_PORT if scheme == 'https' else HTTP_PORT} ", lines)


def block(head: str, lines: list[str]) -> str:
    """Indented lines in braces."""
    return f"{head}{{\n{indent(chr(10).join(lines), '    ')}\n}}\n"
