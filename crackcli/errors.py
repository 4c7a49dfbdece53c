"""Every error a user can cause, in one place; each class carries the exit code of the command.

The library raises, `cli.main` catches: nowhere else is an error turned into text and a number.
A message names the file it speaks of and proposes the next move.
"""


class CrackError(Exception):
    """Parent of all errors that are reported in one line instead of a traceback."""

    exit_code = 1


class UsageError(CrackError, ValueError):
    """The request itself is wrong: an unknown name, an option out of range."""

    exit_code = 2


class MissingExtra(UsageError):
    """The command needs packages that the base installation leaves out."""

    def __init__(self, need: str, extra: str) -> None:
        super().__init__(
            f"{need} needs more packages; install them in the folder of crackcli's code with: "
            f"pip install -c constraints.txt '.[{extra}]'"
        )


class SomeInputsFailed(CrackError):
    """Some inputs of a batch could not be processed; the others are done."""

    exit_code = 3


class InputError(CrackError, OSError):
    """An input file or folder cannot be read, or holds nothing usable."""

    exit_code = 4


class DeviceError(CrackError, RuntimeError):
    """The device that was asked for is not usable here."""

    exit_code = 5


class OutOfMemory(DeviceError, MemoryError):
    """What was asked of a device at once does not fit into its memory."""


class ModelError(CrackError, ValueError):
    """The model file is damaged, of another kind, or does not fit the request."""

    exit_code = 6


class UnsupportedLayer(ModelError, TypeError):
    """An explainer met a layer type that it has no transpose or rule for."""

    def __init__(self, layer: object) -> None:
        name = type(layer).__name__
        super().__init__(
            f"no transpose is known for layer {name}; add one in attribution/adjoint.py"
        )


class OutputError(CrackError, OSError):
    """A result cannot be written: no permission, no space, or a path that is in the way."""

    exit_code = 73  # EX_CANTCREAT of sysexits.h


class Locked(CrackError, RuntimeError):
    """Another run holds the output folder."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again later


class Interrupted(BaseException):
    """A signal stopped the run; what was finished stays and the same command goes on.

    No child of `Exception`, like `KeyboardInterrupt`: it is not to be mistaken for a failure.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
