"""What is answered instead of what was asked: each error is an HTTP status, a stable word and a sentence."""

from beamhub.catalog.records import Problem


class Refused(Exception):
    """A request is refused; ``message`` says what happened and what to do."""

    code = 400
    reason = "bad-request"

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(message=message, reason=reason or self.reason, code=self.code)


class BadRequest(Refused):
    """What was sent cannot be understood."""


class NotKnown(Refused):
    """There is no token, or the Hub does not know it (any more)."""

    code = 401
    reason = "token"


class NotAllowed(Refused):
    """The token lacks a scope, or what is asked is not for this asker."""

    code = 403
    reason = "not-allowed"


class NotFound(Refused):
    """There is no such thing, or the asker may not know that there is."""

    code = 404
    reason = "not-found"


class NotNow(Refused):
    """The thing is in a state in which this cannot be done."""

    code = 409
    reason = "state"


class TooLarge(Refused):
    """More was sent than is taken."""

    code = 413
    reason = "too-large"


class Away(Refused):
    """A part of the service does not answer; try again."""

    code = 503
    reason = "away"
