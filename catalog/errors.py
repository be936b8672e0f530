"""What can go wrong when the service is asked; each says what happened and what to do."""

from beamhub.catalog.records import Problem


class CatalogError(Exception):
    """Base of all."""


class NotConfigured(CatalogError):
    """There is no service to ask: this is no notebook server of a BeamHub Hub."""


class NoOutput(CatalogError):
    """The run has no output: it is not done."""


class ServiceDown(CatalogError):
    """The service does not answer; ``retry_after`` seconds may help (None: it did not say)."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Answered(CatalogError):
    """The service refused; ``problem`` is what it said."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class BadRequest(Answered):
    """What was asked cannot be understood."""


class TokenExpired(Answered):
    """The Hub does not know the token any more: restart the server."""


class NotAllowed(Answered):
    """The token may not do this."""


class NotFound(Answered):
    """There is no such thing that the asker may see."""


class NotNow(Answered):
    """The thing is in a state in which this cannot be done."""


KINDS: dict[int, type[Answered]] = {
    400: BadRequest,
    401: TokenExpired,
    403: NotAllowed,
    404: NotFound,
    409: NotNow,
}
