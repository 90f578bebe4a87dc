"""What Caddy is told: one name, one server behind it, and the limits for whoever comes in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import dedent, indent
from typing import Final

from contract import paths, ports

from ..engine.workload import in_url

HTTPS_PORT: Final = ports.GATEWAY_HTTPS
"""Inside the container, where a process without capabilities cannot listen below 1024."""
HTTP_PORT: Final = ports.GATEWAY_HTTP
CERTIFICATE: Final = f"{paths.SECRETS}/{paths.CERTIFICATE}"
KEY: Final = f"{paths.SECRETS}/{paths.CERTIFICATE_KEY}"
TLS_MODES: Final = ("off", "internal", "files", "acme")
_MORE_NAMES: Final = "The setting allowedHosts adds others."
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
# Of IPv6: that of IPv4 looks like a name. It has two colons at least, and so is no name with a port.
_ADDRESS: Final = re.compile(r"[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*")

API_BODY_DIGITS: Final = 9
"""A call of the API that sends a number of bytes this long, 100 MB or more, is refused: MLflow keeps all of it in
memory. In digits, so that a pattern can tell; Caddy's own limit counts what has come, and sent on, by then."""
HEADERS: Final = "32KB"
"""Room for a question about 100 runs, which is in the address, and for a cookie."""
HEADERS_WAIT: Final = "10s"
"""How long a client may take for the handshake, and then for a request's headers."""
IDLE_WAIT: Final = "2m"
"""How long a connection may stay open between two requests."""
UPSTREAM_IDLE: Final = "3s"
"""uvicorn closes an idle connection after 5 s; a request on one that is just being closed would be lost."""
DIAL_WAIT: Final = "2s"
RESTART_WAIT: Final = "30s"
"""How long a request waits for an MLflow that takes no connections; a restart takes about 13 s."""
GRACE: Final = "20s"
"""How long transfers may go on once the container is told to stop; less than the 30 s after which it is killed."""
HSTS: Final = "max-age=31536000"
"""One year, in seconds. Neither sub-domains nor the browsers' built-in list: both are their owner's to decide."""

UPLOAD: Final = r"^/(ajax-)?api/2\.0/mlflow-artifacts/artifacts/"
"""The one place where MLflow 3.17 streams what it is sent. Compared with the address as it was sent, letter by letter:
one that only means the same to Caddy, such as /API/, would be read into MLflow's memory without a limit."""


def caddyfile(
    *,
    hostname: str,
    tls: str,
    https_port: int,
    http_port: int,
    upstream: str,
    acme_email: str = "",
    more_hosts: Sequence[str] = (),
) -> str:
    """Write the configuration for Caddy 2.6 in front of one MLflow server.

    hostname is the name that is answered to; more_hosts are other names and addresses. tls is "off" (plain HTTP),
    "internal" (an authority of Caddy's own), "files" (CERTIFICATE and KEY) or "acme" (Let's Encrypt, which writes to
    acme_email when there is trouble). The ports are those that the host publishes, an http_port of 0 meaning none;
    upstream is "name:port", seen from the container.
    Raises ValueError for a name or an address that could say more than that to Caddy, and for another tls.
    """
    for host in (hostname, *more_hosts):
        if not (_HOST.fullmatch(host) or (host in more_hosts and _ADDRESS.fullmatch(host))):
            raise ValueError(f"hostname is {host!r}: it must be a host name, without scheme and port")
    hosts = [in_url(host) for host in dict.fromkeys([hostname, *more_hosts])]
    if tls not in TLS_MODES:
        raise ValueError(f"tls is {tls!r}: it must be one of {', '.join(TLS_MODES)}")
    if not re.fullmatch(r"([A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+)?", acme_email):
        raise ValueError(f"acme_email is {acme_email!r}: it must be a mail address")
    if tls == "off":
        end = "" if http_port == 80 else f":{http_port}"
        known = f"http://{hosts[0]}{end}"
        sites = [*(site("http", host, ["import mlflow"]) for host in hosts), site("http", "", ["import stranger"])]
    else:
        end = "" if https_port == 443 else f":{https_port}"
        known = f"https://{hosts[0]}{end}"
        secured = [*certificate(tls, http_port), f'header Strict-Transport-Security "{HSTS}"', "import mlflow"]
        # Whoever comes by another name is told so, and not cut off: with files by the certificate that there is.
        turned_away = [*(certificate(tls, http_port) if tls == "files" else []), "import stranger"]
        sites = [*(site("https", host, secured) for host in hosts), site("https", "", turned_away)]
        if http_port:
            moved = "redir https://{}{}{{uri}} 308"
            sites += [site("http", host, ["import common", moved.format(host, end)]) for host in hosts]
            sites.append(site("http", "", ["import stranger"]))
    text = "\n".join([options(hosts[0], tls, acme_email), snippets(upstream, known), *sites])
    # As Caddy would have it: else it warns at every start.
    return text.replace("    ", "\t")


def options(hostname: str, tls: str, acme_email: str) -> str:
    """Caddy's global options."""
    lines = [
        "admin off",
        # The redirects are ours, since Caddy's leave out the published port. With "files" a name that the certificate
        # lacks must not set off a search for another one.
        f"auto_https {'disable_redirects' if tls in ('internal', 'acme') else 'off'}",
        # Neither the container's user nor its root filesystem would let it.
        "skip_install_trust",
        f"http_port {HTTP_PORT}",
        f"https_port {HTTPS_PORT}",
        f"grace_period {GRACE}",
        *([f"email {acme_email}"] if acme_email else []),
        # Who comes by an address names nothing in the handshake, and is told by what name to come.
        *([f"default_sni {hostname}"] if tls != "off" else []),
        "log {",
        "    output stdout",
        "    format json",
        "    level INFO",
        "}",
        "servers {",
        # Not HTTP/3: its port is not published.
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
    """What the sites share; known is the address that this server is found at.

    Caddy 2.6 must neither repeat a request that has a body nor buffer one: a repeated body is cut short, and a buffer
    that is closed twice is given to two requests, which then send each other's bodies (both were seen). So whatever
    may have a body first waits for an answer to /health, which has none, and is then sent once.
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


def certificate(tls: str, http_port: int) -> list[str]:
    """Where the certificate comes from, and the versions of TLS that are spoken."""
    source = {"internal": "tls internal", "files": f"tls {CERTIFICATE} {KEY}", "acme": "tls"}[tls]
    # A challenge that cannot arrive counts as a failure, of which Let's Encrypt allows five an hour.
    challenges = (
        ["    issuer acme {", "        disable_http_challenge", "    }"] if tls == "acme" and not http_port else []
    )
    return [f"{source} {{", "    protocols tls1.2 tls1.3", *challenges, "}"]


def site(scheme: str, hostname: str, lines: list[str]) -> str:
    """What is done for a name, or without one for all other names."""
    return block(f"{scheme}://{hostname}:{HTTPS_PORT if scheme == 'https' else HTTP_PORT} ", lines)


def block(head: str, lines: list[str]) -> str:
    """Lines in braces, one step further in."""
    return f"{head}{{\n{indent(chr(10).join(lines), '    ')}\n}}\n"
