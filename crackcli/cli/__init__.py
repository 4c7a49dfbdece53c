"""The command line: one command a file; here they are gathered and their errors become one line.

Command modules import what computes inside their function, so that ``crackcli --help`` loads
neither torch nor onnxruntime nor rasterio.
"""

import os
import signal
import sys
import warnings
from types import FrameType
from typing import NoReturn

import typer

from crackcli.cli.compare import compare
from crackcli.cli.evaluate import evaluate
from crackcli.cli.export import export
from crackcli.cli.learn import learn
from crackcli.cli.report import report
from crackcli.cli.scan import scan
from crackcli.cli.selftest import selftest
from crackcli.cli.train import train
from crackcli.errors import CrackError, Interrupted, MissingExtra
from crackcli.registry import EXTRAS

EXIT_CODES = (
    "Exit codes: 0 done, 1 unexpected error, 2 wrong usage or a package is missing, 3 some inputs "
    "failed, 4 unreadable input, 5 device not usable, 6 model does not fit, 73 output cannot be "
    "written, 75 output in use, 130 and 143 interrupted."
)

app = typer.Typer(
    name="crackcli",
    help="Find, measure and compare cracks on photographs of any size.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (train, learn, export, scan, report, compare, evaluate, selftest):
    app.command(epilog=EXIT_CODES)(command)


@app.callback(invoke_without_command=True)
def crackcli(
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    """Find, measure and compare cracks on photographs of any size.

    A classifier that was trained on one bit per photograph (crack / no crack) is explained pixel
    by pixel: the explanation says where a crack is, the photograph how wide.
    """
    if version:
        from crackcli import __version__

        typer.echo(f"crackcli {__version__}")
        raise typer.Exit


# Typer brings its own copy of click or uses click itself: these are the classes of either.
USAGE_ERROR = typer.BadParameter.__base__
CLICK_ERROR = USAGE_ERROR.__base__


def main() -> NoReturn:
    """Run a command; every foreseen error leaves one line on stderr and its exit code."""
    catch_signals()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what libraries tell developers
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
    except BrokenPipeError:
        unheard()
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):
            unheard()
        raise
    except Exception as error:
        if os.environ.get("CRACKCLI_TRACEBACK"):
            raise
        kind = type(error).__name__
        fail(f"unexpected {kind}: {error} (CRACKCLI_TRACEBACK=1 shows where)", 1)
    sys.exit(code if isinstance(code, int) else 0)


def catch_signals() -> None:
    """SIGTERM, as cron and clusters send it, and Ctrl-C end a run tidily; a run that was started
    in the background, where Ctrl-C is ignored, goes on ignoring it."""
    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)


def stop(signum: int, frame: FrameType | None) -> NoReturn:
    how = "interrupted" if signum == signal.SIGINT else "terminated"
    raise Interrupted(f"{how}; the same command goes on where it stopped", 128 + signum)


def unheard() -> NoReturn:
    """Leave quietly where nobody reads what is printed: the work itself is done."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is still to be flushed
    sys.exit(0)


def fail(message: str, code: int) -> NoReturn:
    typer.echo(f"Error: {' '.join(message.split())}", err=True)
    sys.exit(code)
