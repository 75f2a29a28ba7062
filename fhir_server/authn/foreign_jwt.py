"""How JWTs that others have signed are taken apart. https://www.rfc-editor.org/rfc/rfc8725"""

from __future__ import annotations

from collections.abc import Sequence

from joserfc.jws import JWSRegistry

LONGEST = 16 * 1024
"""Characters of the longest JWT that is looked at."""


class _Registry(JWSRegistry):
    # joserfc's own limits cut off a long jku or x5c, and the signatures of long RSA keys.
    max_header_length = LONGEST
    max_payload_length = LONGEST
    max_signature_length = 2048


def registry(algorithms: Sequence[str]) -> JWSRegistry:
    """For `joserfc.jwt.decode`, which then takes these algorithms and no others.

    Unknown names in a header are ignored, as https://www.rfc-editor.org/rfc/rfc7515#section-4 asks; whoever calls has
    to refuse crit.
    """
    return _Registry(algorithms=algorithms, strict_check_header=False)
