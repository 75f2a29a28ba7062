"""No client keeps the others waiting, and no clinic: so many requests a second for each.
https://hl7.org/fhir/R4/http.html#Status-Codes"""

from __future__ import annotations

from fhir_server.authn.limits import Limit, Limiter
from fhir_server.errors import TooManyRequests


class Throttle:
    """``rate`` requests a second for each client, 0 for no limit; twice as many at once from one that was quiet."""

    def __init__(self, limiter: Limiter, rate: float) -> None:
        self._limiter = limiter
        self._rate = rate

    def admit(self, slug: str, client_id: str, clinic_rate: float = 0) -> None:
        """Count one request of a client at a clinic, which takes ``clinic_rate`` a second of all its clients together.

        Raises TooManyRequests with Retry-After.
        """
        limits = []
        if clinic_rate > 0:
            limits.append(Limit(slug, clinic_rate, 2 * clinic_rate))
        if self._rate > 0:
            limits.append(Limit(f"{slug} {client_id}", self._rate, 2 * self._rate))
        refused = self._limiter.take(limits) if limits else None
        if refused is None:
            return
        who = "This client sends" if refused.limit.key != slug else "All clients of this clinic together send"
        raise TooManyRequests(
            f"{who} more than {refused.limit.rate:g} requests a second; wait {refused.seconds} s and go on slowly.",
            headers=[("Retry-After", str(refused.seconds))],
        )
