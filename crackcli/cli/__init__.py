"""The command line: one command a file; here they are gathered and their errors become one line.

Command modules import what computes inside their function, so that ``crackcli --help`` loads
neither torch nor onnxruntime nor rasterio.
"""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import click
import typer

from crackcli.cli.compare import compare
from crackcli.cli.export import export
from crackcli.cli.report import report
from crackcli.cli.scan import scan
from crackcli.cli.train import train
from crackcli.errors import CrackError, Interrupted, MissingExtra
from crackcli.registry import EXTRAS

app = typer.Typer(
    name="crackcli",
    help="Find, measure and compare cracks on photographs of any size.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (train, export, scan, report, compare):
    app.command()(command)


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


def main() -> NoReturn:
    """Run a command; every foreseen error leaves one line on stderr and its exit code."""
    signal.signal(signal.SIGTERM, stop)
    try:
        code = app(standalone_mode=False)
    except CrackError as error:
        fail(str(error), error.exit_code)
    except click.UsageError as error:
        fail(f"{error.format_message()} (see: {usage_of(error)} --help)", 2)
    except click.ClickException as error:
        fail(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        fail("interrupted; the same command goes on where it stopped", 130)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        extra = MissingExtra(f"{' '.join(sys.argv[1:2])} ({package})", EXTRAS[package])
        fail(str(extra), extra.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get("CRACKCLI_TRACEBACK"):
            raise
        kind = type(error).__name__
        fail(f"unexpected {kind}: {error} (CRACKCLI_TRACEBACK=1 shows where)", 1)
    sys.exit(code if isinstance(code, int) else 0)


def usage_of(error: click.UsageError) -> str:
    return error.ctx.command_path if error.ctx else "crackcli"


def stop(signum: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM, as cron and clusters send it, ends a run as tidily as Ctrl-C does."""
    raise Interrupted("terminated; the same command goes on where it stopped", 128 + signum)


def fail(message: str, code: int) -> NoReturn:
    typer.echo(f"Error: {' '.join(message.split())}", err=True)
    sys.exit(code)
