"""Key sets by their URL, fetched and kept for a while.

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html#registering-a-client-communicating-public-keys
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol

from fhir_server.authn import public_keys
from fhir_server.authn.outbound import Answer, OutboundError
from fhir_server.authn.public_keys import BadKeySet, Entry, NoKey, PublicKey

KEPT_SECONDS = (300, 3600)
"""The least and the most that a key set is kept, whatever Cache-Control says."""

REFETCH_SECONDS = 60
"""How often a kid that is not in the set may have it fetched anew."""

FAILURE_SECONDS = 30
MOST_SETS = 1000
_MAX_AGE = re.compile(r'(?:^|[\s,])max-age\s*=\s*"?([0-9]{1,10})', re.IGNORECASE)
_TYPES = {"application/json", "application/jwk-set+json"}


class Fetches(Protocol):
    """What is needed of `outbound.Outbound`."""

    def fetch(self, url: str, *, accept: str) -> Answer:
        """The answer to a GET. Raises OutboundError."""


class KeySets:
    """Finds keys in the key sets of others; safe to share between threads.

    A set that can no longer be fetched is not used past its time: its owner may have taken a stolen key out of it.
    """

    def __init__(
        self, outbound: Fetches, *, clock: Callable[[], float] = time.monotonic, remembered: int = MOST_SETS
    ) -> None:
        self._outbound = outbound
        self._clock = clock
        self._limit = remembered
        self._lock = threading.Lock()
        self._sets: OrderedDict[str, _KeySet] = OrderedDict()

    def key(self, url: str, kid: str, alg: str) -> PublicKey:
        """The key of the set at ``url`` that is named ``kid`` and verifies ``alg``. Raises NoKey.

        https://www.rfc-editor.org/rfc/rfc7517#section-4.5
        """
        held = self._held(url)
        # Who asks for the same set waits for whoever is fetching it; other sets have locks of their own.
        with held.lock:
            if held.until <= self._clock():
                self._fetch(url, held)
            found = public_keys.pick(held.entries, kid, alg)
            if found is None and held.fetched + REFETCH_SECONDS <= self._clock():
                self._fetch(url, held)
                found = public_keys.pick(held.entries, kid, alg)
            if found is None:
                raise NoKey(held.failure or f"The key set has no {alg} key with this kid.")
            return found

    def _held(self, url: str) -> _KeySet:
        with self._lock:
            held = self._sets.setdefault(url, _KeySet())
            self._sets.move_to_end(url)
            if len(self._sets) > self._limit:
                self._sets.popitem(last=False)
            return held

    def _fetch(self, url: str, held: _KeySet) -> None:
        known_until, held.fetched = held.until, self._clock()
        try:
            answer = self._outbound.fetch(url, accept="application/jwk-set+json, application/json")
            held.entries = _read(answer)
        except (OutboundError, BadKeySet) as error:
            if known_until > held.fetched:
                # It was fetched early, for an unknown kid, and what is known is still good.
                return
            held.entries, held.failure = (), _sentence(error)
            held.until = held.fetched + FAILURE_SECONDS
        else:
            held.failure, held.until = "", held.fetched + _seconds(answer.headers)


class _KeySet:
    __slots__ = ("entries", "failure", "fetched", "lock", "until")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.entries: tuple[Entry, ...] = ()
        self.failure = ""
        self.fetched = 0.0
        self.until = float("-inf")


def _read(answer: Answer) -> tuple[Entry, ...]:
    if answer.status != 200:
        raise BadKeySet("The key set's URL did not answer with 200.")
    if answer.headers.get("content-type", "").partition(";")[0].strip().lower() not in _TYPES:
        raise BadKeySet("The key set's URL did not answer with application/json.")
    try:
        return public_keys.read(json.loads(answer.body))
    except (ValueError, RecursionError):
        raise BadKeySet("The key set's URL did not answer with JSON.") from None


def _seconds(headers: Mapping[str, str]) -> int:
    """How long to keep the set. https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.1"""
    control = headers.get("cache-control", "")
    found = None if re.search(r"\bno-(?:store|cache)\b", control, re.IGNORECASE) else _MAX_AGE.search(control)
    least, most = KEPT_SECONDS
    return min(max(int(found[1]), least), most) if found else least


def _sentence(error: OutboundError | BadKeySet) -> str:
    # Why a connection failed is not told: it would let whoever names URLs look around in the server's network.
    return str(error) if isinstance(error, BadKeySet) else "The key set's URL could not be fetched."
