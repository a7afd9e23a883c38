"""Meeting tokens: which meeting and owner the entries of a producer belong to. Pure.

A token is a JWT signed with HS256. Its expiry is read here and judged elsewhere: it must lie after the first entry
of a session only, because meetings outlive their tokens.
Source: Vexa v0.5 to v0.10, `mint_meeting_token`.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt.types import Options

OWN_ISSUER: Final = "stt-collector"
ISSUERS: Final = ("bot-manager", "meeting-api", OWN_ISSUER)
AUDIENCE: Final = "transcription-collector"
SCOPE: Final = "transcribe:write"
_MAX_CHARACTERS: Final = 8192
_MAX_ID: Final = 2**63 - 1
_LATEST_S: Final = 253_402_300_799  # the year 9999
_CHECKS: Final[Options] = {
    "require": ["iss", "aud", "meeting_id"],
    "verify_exp": False,  # see above
    "verify_nbf": False,  # the machine that signs may be ahead
    "verify_iat": False,
    "verify_sub": False,  # no claim of these
    "verify_jti": False,
}


class BadToken(Exception):
    """A token that is not accepted. The reason never holds the token."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says.

    Attributes:
        owner_id: `user_id`, None if the token has none.
        meeting_id: Vexa's number of the meeting.
        expires_ms: Unix ms, None if the token does not expire.
        platform, native_id: as the token names them, None if it does not.
    """

    owner_id: int | None
    meeting_id: int
    expires_ms: int | None
    platform: str | None = None
    native_id: str | None = None


def verify(token: str, secret: str) -> Claims:
    """Check signature, issuer, audience and scope of a meeting token, not its expiry.

    Raises:
        BadToken: it is not such a token, or signed with another secret.
    """
    if len(token) > _MAX_CHARACTERS:
        raise BadToken(f"the token has {len(token)} characters; the limit is {_MAX_CHARACTERS}")
    claims = _decode(token, secret)
    if claims.get("scope") != SCOPE:
        raise BadToken(f"the token's scope is not {SCOPE}")
    meeting_id = _whole(claims["meeting_id"])
    if meeting_id is None:
        raise BadToken("the token's meeting_id is not a number from 1 on")
    owner = claims.get("user_id")
    owner_id = _whole(owner)
    if owner is not None and owner_id is None:
        raise BadToken("the token's user_id is not a number from 1 on")
    return Claims(
        owner_id=owner_id,
        meeting_id=meeting_id,
        expires_ms=_expiry_ms(claims.get("exp")),
        platform=_text(claims.get("platform")),
        native_id=_text(claims.get("native_meeting_id")),
    )


def _decode(token: str, secret: str) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)  # the operator chose the secret
            return jwt.decode(token, secret, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUERS, options=_CHECKS)
    except jwt.InvalidSignatureError:
        raise BadToken("the token is signed with another secret") from None
    except jwt.InvalidIssuerError:
        raise BadToken(f"the token's issuer is none of {', '.join(ISSUERS)}") from None
    except jwt.InvalidAudienceError:
        raise BadToken(f"the token's audience is not {AUDIENCE}") from None
    except jwt.MissingRequiredClaimError as error:
        raise BadToken(f"the token has no {error.claim}") from None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise BadToken("the token is not a JWT signed with HS256") from None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: Any) -> int | None:
    """Return a number from 1 on, given as one or as its digits; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(_MAX_ID)):
        value = int(value)
    return value if type(value) is int and 1 <= value <= _MAX_ID else None


def _expiry_ms(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadToken("the token's exp is not a time in Unix seconds")
    if not 0 <= value <= _LATEST_S:
        raise BadToken("the token's exp is not between the years 1970 and 9999")
    return round(value * 1000)
