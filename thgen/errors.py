"""Typed errors. A message is one sentence: the fault and the remedy. UI, CLI and API show it unchanged."""

from __future__ import annotations

import logging
import secrets

MESSAGE_MAX = 2000  # characters of a message, at most: it may quote input of any length
SHOWN_MAX = 80  # characters of a quoted value, at most

log = logging.getLogger("thgen")


def shown(value: object, longest: int = SHOWN_MAX) -> str:
    """A given value for a message: its repr, at most `longest` characters."""
    if isinstance(value, int) and abs(value) >= 10**longest:  # repr of a very large integer raises an error
        return "a number of very many digits"
    try:
        text = repr(value[: longest + 1] if isinstance(value, str | bytes) else value)
    except Exception:  # the object may be nested too deeply for repr
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= longest else text[: longest - 1] + "…"


def printable(text: str) -> str:
    """One line without control and formatting characters, which could change a terminal or the text's direction."""
    kept = (c if c.isprintable() else " " if c.isspace() else "�" for c in text[: MESSAGE_MAX + 1])
    clean = "".join(kept)
    return clean if len(clean) <= MESSAGE_MAX else clean[: MESSAGE_MAX - 1] + "…"


class ThgenError(Exception):
    """Base of all errors that a user can cause or correct. The command line ends with exit status 2."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class PhotoError(ThgenError):
    """The photo cannot be read, or is outside the limits on size and pixels."""


class FaceError(ThgenError):
    """No usable human face: none found, too small, too dark, or turned too far."""


class AudioError(ThgenError):
    """The audio cannot be read, is empty, too short, too long, or holds no sound."""


class ClipError(ThgenError):
    """A driving clip cannot be read, or too many of its frames show no face."""


class ControlError(ThgenError):
    """A control, strength, driver or recipe has an unknown name or a value outside its range."""


class MethodError(ThgenError):
    """The method is unknown."""


class WeightsError(ThgenError):
    """Weights are missing, were altered, do not fit the network, or cannot be fetched."""


class AssetError(ThgenError):
    """A file or program that is not part of thgen (the FaceKit head, a codec of ffmpeg) is absent."""


class OutputError(ThgenError):
    """The output cannot be written."""


class TrainingError(ThgenError):
    """A training stage, its data or its checkpoint is missing or does not fit."""


class ClosedError(ThgenError):
    """The server is being stopped and takes no more work."""


class UnexpectedError(ThgenError):
    """A fault of thgen itself. The message has a code; the log has the traceback under this code."""


def typed(error: BaseException) -> ThgenError:
    """A ThgenError is returned as it is. Any other error is logged and becomes an UnexpectedError."""
    if isinstance(error, ThgenError):
        return error
    code = secrets.token_hex(4)
    log.error("unexpected error, code %s", code, exc_info=error)
    return UnexpectedError(f"Something went wrong inside thgen (code {code}); the log says what under this code.")
