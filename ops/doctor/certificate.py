"""Checks how long the gateway's certificate is valid."""

from __future__ import annotations

import ssl
import time

from contract import roles
from contract.names import object_name

from ..stack import prefix
from .check import Verdict, broken, ok, warning
from .subject import Subject

DAY = 86400

# Seconds before the certificate's end. Caddy renews Let's Encrypt's 30 days before, and a person needs some time. The
# certificates of the gateway's own authority are valid for 12 hours, and are renewed 4 hours before.
_SOON = {"internal": 3600, "acme": 21 * DAY, "files": 21 * DAY}

# The certificate that is served, not the file: a renewed file may not be loaded yet.
_READ = """
echo "$GATEWAY_TLS" "$GATEWAY_HOSTNAME"
[ "$GATEWAY_TLS" = off ] ||
  openssl s_client -connect 127.0.0.1:8443 -servername "$GATEWAY_HOSTNAME" </dev/null 2>/dev/null |
  openssl x509 -noout -enddate
"""


def check(subject: Subject) -> Verdict:
    """The certificate that the gateway serves is valid, and will be for some time."""
    if not subject.has_gateway:
        return ok("none: there is no gateway")
    about, *lines = subject.execute(roles.GATEWAY, "sh", "-c", _READ).splitlines()
    tls, hostname = about.split()
    if tls == "off":
        return ok("none: tls is off")
    end = ssl.cert_time_to_seconds(lines[0].removeprefix("notAfter="))
    return judge(tls, hostname, end - time.time(), _remedies(subject)[tls])


def judge(tls: str, hostname: str, left: float, remedy: str) -> Verdict:
    """The verdict on a certificate that ends in `left` seconds; `tls` says how it is renewed."""
    if left <= 0:
        return broken(f"that of {hostname} expired {_span(-left)} ago: no client accepts it", remedy)
    if left < _SOON[tls]:
        return warning(
            f"that of {hostname} expires in {_span(left)}: it should be more than {_span(_SOON[tls])}", remedy
        )
    return ok(f"that of {hostname} is valid for {_span(left)}")


def _remedies(subject: Subject) -> dict[str, str]:
    return {
        "internal": f"docker restart {object_name(prefix(subject.stack), roles.GATEWAY)}",
        "acme": f"{subject.make_logs}, which says why it was not renewed",
        "files": f"{subject.make_up}, with a new certificate in tlsCertificateFile and tlsKeyFile",
    }


def _span(seconds: float) -> str:
    return f"{seconds / DAY:.0f} days" if seconds >= 2 * DAY else f"{seconds / 3600:.0f} hours"
