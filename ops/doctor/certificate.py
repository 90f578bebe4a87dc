"""How long the front door's certificate is still good for."""

from __future__ import annotations

import ssl
import time

from .. import inside
from .check import Verdict, broken, ok, warning
from .subject import Subject

DAY = 86400

# Seconds before its end. Let's Encrypt's are renewed 30 days before, and whoever renews by hand needs some time; those
# of the platform's own authority live for 12 hours and are renewed 4 hours before.
_SOON = {"internal": 3600, "acme": 21 * DAY, "files": 21 * DAY}

# The certificate that is served, and not a file: a renewed file that nobody has loaded helps nobody.
_READ = """
echo "$GATEWAY_TLS" "$GATEWAY_HOSTNAME"
[ "$GATEWAY_TLS" = off ] ||
  openssl s_client -connect 127.0.0.1:8443 -servername "$GATEWAY_HOSTNAME" </dev/null 2>/dev/null |
  openssl x509 -noout -enddate
"""


def look(subject: Subject) -> Verdict:
    """The certificate that the gateway serves has not ended, and does not soon."""
    if not subject.has_gateway:
        return ok("none: there is no front door")
    gateway = subject.running("gateway")
    about, *lines = inside.run(gateway, "sh", "-c", _READ).splitlines()
    tls, hostname = about.split()
    if tls == "off":
        return ok("none: tls is off")
    end = ssl.cert_time_to_seconds(lines[0].removeprefix("notAfter="))
    return judge(tls, hostname, end - time.time(), _mends(subject, str(gateway.name))[tls])


def judge(tls: str, hostname: str, left: float, mend: str) -> Verdict:
    """What follows from the seconds that are left to a certificate, which is renewed in a way that `tls` says."""
    if left <= 0:
        return broken(f"that of {hostname} ended {_span(-left)} ago: no client takes it", mend)
    if left < _SOON[tls]:
        return warning(f"that of {hostname} ends in {_span(left)}: it should be more than {_span(_SOON[tls])}", mend)
    return ok(f"that of {hostname} is good for {_span(left)}")


def _mends(subject: Subject, gateway: str) -> dict[str, str]:
    return {
        "internal": f"docker restart {gateway}",
        "acme": f"{subject.make_logs}, which says why it was not renewed",
        "files": f"{subject.make_up}, with a new certificate in tlsCertificateFile and tlsKeyFile",
    }


def _span(seconds: float) -> str:
    return f"{seconds / DAY:.0f} days" if seconds >= 2 * DAY else f"{seconds / 3600:.0f} hours"
