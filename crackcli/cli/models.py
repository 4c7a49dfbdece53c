"""crackcli models: the shipped models, what each may be used for, and its figures."""

import json
import sys
from dataclasses import asdict

import typer

from crackcli.cli import options

LOG_COLUMNS = 140  # width of the table without a terminal
NOTE = (
    "F1 in % at 0 / 2 px on test sets; crack-free: % of the pixels of crack-free patches that are "
    "marked. *: the default of scan. --json has sources and attribution too."
)


def models(as_json: options.AsJson = False) -> None:
    """List the shipped models, with licence and figures.

    The licence of a model follows from the photographs that it was trained on. Choose one with
    --model NAME.

        crackcli models
        crackcli models --json
        crackcli scan wall.tif -o cracks --model student
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from crackcli.shipped_models import list_models

    cards = list_models()
    if as_json:
        typer.echo(json.dumps([asdict(card) for card in cards], indent=2, ensure_ascii=False))
        return
    sets = list(dict.fromkeys(name for card in cards for name in card.f1))
    table = Table(box=SIMPLE_HEAD, caption=NOTE, caption_justify="left")
    for name in ("model", "method", "licence", "allows"):
        table.add_column(name, no_wrap=name in ("model", "method"))
    for name in ("MB", *sets, "crack-free"):
        table.add_column(name, justify="right", no_wrap=True)
    for card in cards:
        table.add_row(
            card.name + " *" * card.default,
            card.method,
            str(card.licence),
            card.licence.allows,
            f"{card.megabytes:.0f}",
            *(" / ".join(f"{value:.1f}" for value in card.f1.get(name, [])) for name in sets),
            "" if card.crack_free_marked is None else f"{card.crack_free_marked:.2f}",
        )
    Console(width=None if sys.stdout.isatty() else LOG_COLUMNS).print(table)
