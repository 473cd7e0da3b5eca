"""Errors that a user's files or options can cause, each with a one-line message naming the file and the cure."""


class HrlmError(Exception):
    """Base of every error that a user can cause and cure; commands print it, record it and go on."""


class PhotoError(HrlmError):
    """A photo that cannot be read."""


class FormatError(HrlmError):
    """A landmark file that cannot be read or does not fit its format."""


class SchemeError(HrlmError):
    """A landmark scheme that is unknown or contradicts itself."""


class ModelError(HrlmError):
    """A weight file that is missing, damaged or made for another version."""


class ConfigError(HrlmError):
    """A training configuration that cannot be used."""


class DataError(HrlmError):
    """A data set with nothing usable in it."""


class DependencyError(HrlmError):
    """An optional package that is needed and not installed."""
