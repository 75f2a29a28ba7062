"""What the platform's interface takes and answers: the source of its OpenAPI document.

https://spec.openapis.org/oas/v3.1.0 and https://marshmallow.readthedocs.io/en/stable/
"""

from __future__ import annotations

from marshmallow import RAISE, Schema, fields, validate

from fhir_server.store.tenants import LONGEST_NAME, LONGEST_SEARCH_MS, SLUG

LONGEST_MINUTES = 60
"""For how long somebody of the platform may look into a clinic at most, without asking again."""


class Strict(Schema):
    """Refuses what it does not know: whoever sent it would think that it had been heeded."""

    class Meta:
        """https://marshmallow.readthedocs.io/en/stable/quickstart.html#handling-unknown-fields"""

        unknown = RAISE


def _text(most: int, least: int = 1) -> fields.String:
    return fields.String(required=True, validate=validate.Length(least, most))


class SignInSchema(Strict):
    """Credentials; ``code`` is of the authenticator app, and left out by whoever has none yet."""

    username = _text(128)
    password = _text(1000)
    code = fields.String(load_default="", validate=validate.Length(0, 20))


class SessionSchema(Schema):
    """A session, and what it still needs."""

    access_token = fields.String(metadata={"description": "For the header Authorization: Bearer of this interface."})
    token_type = fields.String()
    needs = fields.List(
        fields.String(), metadata={"description": "password, second-factor: what is to be set up first."}
    )


class PasswordSchema(Strict):
    """A change of one's own password."""

    current = _text(1000)
    new = _text(1000)


class EnrolmentSchema(Schema):
    """A new authenticator app; of no use until a code of it is confirmed."""

    id = fields.String()
    secret = fields.String()
    uri = fields.String(metadata={"description": "For a QR code: otpauth://..."})


class CodeSchema(Strict):
    """A code of an authenticator app."""

    code = _text(20)


class TenantSchema(Schema):
    """A clinic."""

    slug = fields.String()
    name = fields.String()
    created = fields.DateTime()
    search_timeout_ms = fields.Integer(data_key="searchTimeoutMs", allow_none=True)
    base = fields.String(metadata={"description": "Its FHIR base URL."})


class NewTenantSchema(Strict):
    """A clinic to be added."""

    slug = fields.String(required=True, validate=validate.Regexp(rf"\A(?:{SLUG.pattern})\Z"))
    name = fields.String(load_default="", validate=validate.Length(0, LONGEST_NAME))


class TenantChangeSchema(Strict):
    """What of a clinic is to be another; null for the limit that the server's settings say."""

    name = fields.String(validate=validate.Length(1, LONGEST_NAME))
    search_timeout_ms = fields.Integer(
        data_key="searchTimeoutMs", allow_none=True, strict=True, validate=validate.Range(1, LONGEST_SEARCH_MS)
    )


class PersonSchema(Schema):
    """Somebody who may sign in."""

    id = fields.String()
    username = fields.String()
    name = fields.String()
    roles = fields.List(fields.String())
    fhir_user = fields.String(data_key="fhirUser")
    disabled = fields.Boolean()


class VerificationFromSchema(Strict):
    """Where to begin."""

    head = fields.String(
        load_default="",
        validate=validate.Length(0, 100),
        metadata={"description": "Of an earlier answer: what comes after it. 0: the beginning. Without: the newest."},
    )


class VerificationSchema(Schema):
    """Whether some records of a clinic's audit trail are as they were written."""

    after = fields.Integer(metadata={"description": "The number of the record before the first that was looked at."})
    head = fields.String(metadata={"description": "NUMBER:HASH of the last in order: keep it, and go on with it."})
    complete = fields.Boolean(metadata={"description": "Whether it has come to the end of the trail."})
    records = fields.Integer(metadata={"description": "How many were found in order."})
    problem = fields.String(metadata={"description": "The first thing that is not in order; empty for nothing."})


class WantedAccessSchema(Strict):
    """Why somebody has to look into a clinic, and for how long. The clinic reads the reason in its audit trail."""

    reason = _text(1000, 10)
    minutes = fields.Integer(required=True, strict=True, validate=validate.Range(1, LONGEST_MINUTES))


class AccessSchema(Schema):
    """An access_token of the role super_admin: it reads, at this one clinic. https://www.rfc-editor.org/rfc/rfc6749#section-5.1"""

    access_token = fields.String()
    token_type = fields.String()
    expires_in = fields.Integer()
    scope = fields.String()
