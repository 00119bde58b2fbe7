"""The error of a config that cannot be run."""


class ConfigError(ValueError):
    """The config cannot be run as it stands; the message is meant for the person who wrote it."""
