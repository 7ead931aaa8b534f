"""Typed errors. Each message is one sentence: what is wrong and what to do; UI, CLI and API show it as it is."""

from __future__ import annotations


class ThgenError(Exception):
    """Base of every error that a visitor can cause or mend. The command line ends with exit status 2."""


class PhotoError(ThgenError):
    """The photo cannot be read, or is outside the limits on size and pixels."""


class FaceError(ThgenError):
    """No usable human face: none found, too small, too dark, or turned too far."""


class AudioError(ThgenError):
    """The audio cannot be read, is empty, too short, too long, or holds no sound."""


class ClipError(ThgenError):
    """A driving clip cannot be read, or too many of its frames show no face."""


class ControlError(ThgenError):
    """A control, strength, driver or recipe names something unknown or lies outside its range."""


class MethodError(ThgenError):
    """An unknown method was asked for."""


class WeightsError(ThgenError):
    """Weights are missing, were altered, do not fit the network, or cannot be fetched."""


class AssetError(ThgenError):
    """A file that thgen may not ship (the FaceKit head) is absent."""


class OutputError(ThgenError):
    """The output cannot be written."""


class TrainingError(ThgenError):
    """A training stage, its data or its checkpoint is missing or does not fit."""
