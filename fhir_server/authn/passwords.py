"""Passwords: how they are kept, and which are too weak. https://pages.nist.gov/800-63-4/sp800-63b.html#passwordver"""

from __future__ import annotations

import secrets
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY
from zxcvbn import zxcvbn

SHORTEST, LONGEST = 12, 256
"""Characters."""

LEAST_SCORE = 3
"""Of zxcvbn's 0 to 4: more than 10^8 guesses. https://github.com/dropbox/zxcvbn"""

_LOOKED_AT = 72
"""Characters that zxcvbn is given: its time grows with the square of them."""

_WORDS = ("clinic", "hospital", "health", "fhir")

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


class Passwords:
    """Hashes with argon2id, by default with the parameters of RFC 9106 for little memory (64 MiB, 3 passes).

    https://www.rfc-editor.org/rfc/rfc9106#section-4
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
        self._nobody = self._hasher.hash(secrets.token_urlsafe(16))

    def hash(self, password: str) -> str:
        """The hash of a password, in the PHC string format."""
        return self._hasher.hash(normal(password))

    def verify(self, kept: str, password: str) -> bool:
        """Whether this is the password of a hash. It takes as long where ``kept`` is "", which nothing is."""
        if len(password) > LONGEST:
            password = ""
        try:
            return self._hasher.verify(kept or self._nobody, normal(password)) and bool(kept)
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False

    def outdated(self, kept: str) -> bool:
        """Whether a hash was made with parameters that are weaker than today's."""
        return self._hasher.check_needs_rehash(kept)


def normal(password: str) -> str:
    """One form for what looks the same on every keyboard. https://www.rfc-editor.org/rfc/rfc8265#section-4.2"""
    return unicodedata.normalize("NFKC", password)


def weakness(password: str, *words: str) -> str:
    """What is wrong with a new password, in a sentence that says what would be right; "" for nothing.

    ``words`` are what others know of the person: the username, the name, the clinic. zxcvbn knows the passwords that
    are used and stolen most, words and names, dates, keyboard patterns and what people put in place of letters.
    """
    text = normal(password)
    if len(text) < SHORTEST:
        return f"The password needs at least {SHORTEST} characters; a few unrelated words make a good one."
    if len(text) > LONGEST:
        return f"The password may have at most {LONGEST} characters."
    if any(unicodedata.category(char) == "Cc" for char in text):
        return "The password must not contain control characters."
    known = [word.lower() for word in (*words, *_WORDS) if len(word) > 2]
    if any(word in text.lower() and len(word) * 2 > len(text) for word in known):
        return "The password is little more than your name or the clinic's: take words that nobody connects with you."
    result = zxcvbn(text[:_LOOKED_AT], user_inputs=known)
    if result["score"] >= LEAST_SCORE:
        return ""
    warning = str(result["feedback"]["warning"]).rstrip(".")
    reason = f" ({warning.lower()})" if warning else ""
    return f"The password is too easy to guess{reason}: take four or more unrelated words, or let a manager make one."


def random_password(groups: int = 4) -> str:
    """A password to hand over: groups of characters that are not mistaken for others, 20 bits each."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(groups))


@cache
def standard() -> Passwords:
    """The hasher of this process."""
    return Passwords()
