"""Keeps the password of a database's URL out of messages."""

from urllib.parse import quote, quote_plus

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_PARAMETERS = ("password", "passwd", "sslpassword")
"""What a driver takes as a password after the question mark of a URL."""


def redacted(message: str, url: URL | str | None) -> str:
    """The message with *** for each password of the URL. A driver or an env.py may have put them into it."""
    if url is None:
        return message
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return message.replace(str(url), "***")
    secrets = [parsed.password, *(parsed.query.get(name) for name in _PARAMETERS)]
    for secret in (str(secret) for secret in secrets if secret):
        for spelling in sorted({secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}, key=len):
            message = message.replace(spelling, "***")
    return message


def shown(url: URL) -> str:
    """The URL without its password and its parameters."""
    return url.set(query={}).render_as_string(hide_password=True)
