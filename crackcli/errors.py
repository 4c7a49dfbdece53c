"""Every error that a user can cause; each class carries the exit code of the command.

The library raises them, and only `cli.main` turns them into a message and an exit code. A message
has the form ``<option or file>: <what is wrong>; <what to do>``.
"""


class CrackError(Exception):
    """Parent of all errors that are printed as one line instead of a traceback."""

    exit_code = 1


class UsageError(CrackError, ValueError):
    """The request itself is wrong: an unknown name or an option out of range."""

    exit_code = 2


class MissingExtra(UsageError):
    """The command needs packages that the base installation leaves out."""

    def __init__(self, command: str, extra: str) -> None:
        super().__init__(
            f"{command} needs more packages; install them in the folder of crackcli's code with: "
            f"pip install -c constraints.txt '.[{extra}]'"
        )


class SomeInputsFailed(CrackError):
    """Some inputs of a batch could not be processed; the others are done."""

    exit_code = 3


class InputError(CrackError, OSError):
    """An input file or folder cannot be read or contains nothing usable."""

    exit_code = 4


class DeviceError(CrackError, RuntimeError):
    """The requested device is not usable on this machine."""

    exit_code = 5


class OutOfMemory(DeviceError, MemoryError):
    """A batch does not fit into the memory of the device."""


class ModelError(CrackError, ValueError):
    """The model file is damaged, of another kind, or does not fit the request."""

    exit_code = 6


class UnsupportedLayer(ModelError, TypeError):
    """The network has a layer type without a known transpose or attribution rule."""

    def __init__(self, layer: object) -> None:
        name = type(layer).__name__
        super().__init__(
            f"no transpose is known for layer {name}; add one in attribution/adjoint.py"
        )


class ConditionMet(CrackError):
    """A change meets a condition of ``crackcli compare --fail-on``; all files are written."""

    exit_code = 10


class OutputError(CrackError, OSError):
    """A result cannot be written: no permission, no space, or a path that is in the way."""

    exit_code = 73  # EX_CANTCREAT of sysexits.h


class InTheWay(OutputError):
    """A file that crackcli did not write, or that was changed since, has the name of a result."""


class Locked(CrackError, RuntimeError):
    """Another run uses the output folder."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again later


class Interrupted(BaseException):
    """A signal stopped the run; finished work is kept and the same command resumes it.

    Like `KeyboardInterrupt` it is not an `Exception`: no handler takes it for a failure.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
