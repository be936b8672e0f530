"""The Hub's log of requests without tokens: the Hub hides one in an address, but not where it sends that on to."""

import logging
import re

ACCESS = "tornado.access"
TOKEN = re.compile(r"(token(?:=|%(?:25)*3D))[^&%\s\"]+", re.IGNORECASE)


class WithoutTokens(logging.Filter):
    """Hides the values of parameters named token, also within an address that is itself a parameter."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record is kept."""
        record.msg, record.args = without_tokens(record.getMessage()), None
        return True


def without_tokens(text: str) -> str:
    """A text without tokens.

    >>> without_tokens("302 GET /hub/home -> /hub/login?next=%2Fhub%2Fhome%3Ftoken%3Dabc%26a%3D1")
    '302 GET /hub/home -> /hub/login?next=%2Fhub%2Fhome%3Ftoken%3D[secret]%26a%3D1'
    """
    return TOKEN.sub(r"\1[secret]", text)


_FILTER = WithoutTokens()


def hide_tokens() -> None:
    """Hide them from now on."""
    logging.getLogger(ACCESS).addFilter(_FILTER)
