"""The command line, one command per file; `main` runs them and prints errors as one line.

Command modules import the packages that compute inside their function, so that
``crackcli --help`` loads neither torch nor onnxruntime nor rasterio.
"""

import io
import os
import signal
import sys
import threading
import warnings
from types import FrameType
from typing import NoReturn, cast

import typer

from crackcli.cli.compare import compare
from crackcli.cli.evaluate import evaluate
from crackcli.cli.export import export
from crackcli.cli.learn import learn
from crackcli.cli.logs import tell
from crackcli.cli.models import models
from crackcli.cli.report import report
from crackcli.cli.scan import scan
from crackcli.cli.selftest import selftest
from crackcli.cli.train import train
from crackcli.errors import CrackError, Interrupted, MissingExtra, OutOfMemory
from crackcli.registry import EXTRAS

EXIT_CODES = (
    "Exit codes: 0 done, 1 unexpected error, 2 wrong usage or missing package, 3 some inputs "
    "failed, 4 unreadable input, 5 device not usable, 6 model does not fit, 10 a change "
    "meets --fail-on, 73 output cannot be written, 75 output in use, 130 and 143 interrupted."
)

RETRY_S = 0.05  # after which a signal is sent again; a log call takes far less

app = typer.Typer(
    name="crackcli",
    help="Find, measure and compare cracks on photographs of any size.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (models, train, learn, export, scan, report, compare, evaluate, selftest):
    app.command(epilog=EXIT_CODES)(command)


@app.callback(invoke_without_command=True)
def crackcli(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    """Find, measure and compare cracks on photographs of any size.

    A classifier is trained on one bit per photograph (crack / no crack). An attribution of its
    decision, pixel by pixel, locates the cracks; their widths are measured on the photograph.
    """
    if version:
        from crackcli import __version__

        typer.echo(f"crackcli {__version__}")
        raise typer.Exit


# click's UsageError and ClickException, from the copy of click that typer uses (its own or the
# installed one). Both have the attributes of BadParameter that are used below.
USAGE_ERROR = cast(type[typer.BadParameter], typer.BadParameter.__mro__[1])
CLICK_ERROR = cast(type[typer.BadParameter], typer.BadParameter.__mro__[2])


def main() -> NoReturn:
    """Run a command; an expected error prints one line on stderr and sets the exit code."""
    catch_signals()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files as they are
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # warnings of libraries are meant for developers
    try:
        code = app(args=sys.argv[1:] or ["--help"], standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (CrackError, Interrupted) as error:
        fail(str(error), error.exit_code)
    except USAGE_ERROR as error:
        where = error.ctx.command_path if error.ctx else "crackcli"
        fail(f"{error.format_message()} (see: {where} --help)", 2)
    except CLICK_ERROR as error:
        fail(error.format_message(), error.exit_code)
    except typer.Abort:
        fail("aborted", 1)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        extra = MissingExtra(f"{' '.join(sys.argv[1:2])} ({package})", EXTRAS[package])
        fail(str(extra), extra.exit_code)
    except MemoryError:
        fail("not enough free memory; free some", OutOfMemory.exit_code)
    except BrokenPipeError:
        exit_unread()
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):
            exit_unread()
        raise
    except Exception as error:
        if os.environ.get("CRACKCLI_TRACEBACK"):
            raise
        kind = type(error).__name__
        fail(f"unexpected {kind}: {error} (CRACKCLI_TRACEBACK=1 shows where)", 1)
    sys.exit(code if isinstance(code, int) else 0)


def catch_signals() -> None:
    """Turn SIGTERM (sent by cron and clusters) and Ctrl-C into `Interrupted`.

    A run that was started in the background ignores Ctrl-C, and keeps ignoring it.
    """
    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)


def stop(signum: int, frame: FrameType | None) -> None:
    """Raise `Interrupted` for a signal.

    GDAL logs through Python, and loses what is raised there: a signal that arrives during a log
    call is sent again.
    """
    if is_logging(frame):
        again = threading.Timer(RETRY_S, send_to_main, (signum,))
        again.daemon = True
        again.start()
        return
    how = "interrupted" if signum == signal.SIGINT else "terminated"
    raise Interrupted(f"{how}; give the same command again to resume", 128 + signum)


def send_to_main(signum: int) -> None:
    """Send a signal to the main thread, which may be waiting for a file."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signum)
    else:  # Windows
        signal.raise_signal(signum)


def is_logging(frame: FrameType | None) -> bool:
    """Return True if a call of the module `logging` is running at a frame."""
    while frame is not None and frame.f_globals.get("__name__") != "logging":
        frame = frame.f_back
    return frame is not None


def exit_unread() -> NoReturn:
    """Exit silently if the reader of stdout is gone (`| head`): the work itself is done."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for text that is still to be flushed
    sys.exit(0)


def fail(message: str, code: int) -> NoReturn:
    """Print an error as one line on stderr and exit with ``code``."""
    tell(f"Error: {' '.join(message.split())}")
    sys.exit(code)
