"""The error for two photographs that cannot be aligned."""

from crackcli.errors import InputError


class NotAligned(InputError):
    """Two photographs cannot be aligned, or not in a way that can be trusted."""
