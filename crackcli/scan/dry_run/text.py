"""Text of crackcli scan --dry-run: a line per image, totals, and the assumptions."""

from collections.abc import Iterator

from crackcli.registry import find_method
from crackcli.scan.dry_run.estimate import Range, SceneEstimate, SurveyEstimate
from crackcli.texts import printable

HEADS = ("image", "status", "MP", "blocks", "likely", "range", "memory", "results")
GAP = "  "
MIN_NAME = 10  # columns of the name of an image, at least


def lines(found: SurveyEstimate, columns: int | None = None) -> Iterator[str]:
    """Yield the lines of an estimate: a table, then sentences.

    Names of images are shortened so that the table fits into ``columns``; None: they are whole.
    ``--json`` has more figures.
    """
    rows = [HEADS, *map(cells, found.scenes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if columns is not None:
        others = sum(widths[1:]) + len(GAP) * len(widths[1:])
        widths[0] = min(widths[0], max(MIN_NAME, columns - others))
    for name, *figures in rows:
        texts = [text.rjust(wide) for text, wide in zip(figures, widths[1:], strict=True)]
        yield GAP.join([shortened(name, widths[0]).ljust(widths[0]), *texts])
    total = sum(scene.megapixels for scene in found.scenes)
    blocks = sum(scene.blocks for scene in found.scenes)
    count = len(found.scenes)
    yield ""
    yield (
        f"{count} image{'s' * (count != 1)}, {total:.1f} MP, "
        f"{blocks} block{'s' * (blocks != 1)} to scan: "
        f"{duration(found.seconds.likely)} likely, from {span(found.seconds)}"
    )
    yield f"peak memory {size(found.peak_mb)}"
    yield (
        f"disk: results {size(found.result_mb.likely)} likely, {size(found.result_mb.cracked)} at "
        f"most; free {size(found.free_mb)}"
    )
    yield (
        f"work folder: {size(found.work_mb.likely)} likely, {size(found.work_mb.cracked)} at most"
    )
    engine, assumption = found.engine, found.assumption
    if engine is None:
        return
    yield f"engine {engine['engine']} on {engine['device']}: {engine['model']}"
    if assumption is not None and not find_method(engine["method"]).direct:
        ends = "range: from no crack, where no tile is explained, to cracks everywhere; likely: "
        if found.seconds.sound == found.seconds.cracked:
            ends = ""
        yield f"{ends}{assumption.tiles_gated:.0%} of tiles explained ({assumption.source})"


def cells(scene: SceneEstimate) -> tuple[str, ...]:
    """Return the table cells of one image."""
    interrupted = 0 < scene.strips_done < scene.strips
    done = f", {scene.strips_done}/{scene.strips} strips" if interrupted else ""
    return (
        printable(scene.source.name),
        f"{scene.status}{done}",
        f"{scene.megapixels:.1f}",
        str(scene.blocks),
        duration(scene.seconds.likely),
        span(scene.seconds),
        size(scene.peak_mb),
        size(scene.result_mb.likely),
    )


def shortened(name: str, columns: int) -> str:
    """Return a name in at most so many columns; its middle is left out."""
    if len(name) <= columns:
        return name
    end = (columns - 1) // 2
    return f"{name[: columns - 1 - end]}…{name[-end:]}"


def span(seconds: Range) -> str:
    """Return the range from an image without cracks to one that is cracked all over."""
    low, high = duration(seconds.sound), duration(seconds.cracked)
    return low if low == high else f"{low} to {high}"


def duration(seconds: float) -> str:
    """Return a time with about two figures."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.1f} min" if seconds < 600 else f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def size(mb: float) -> str:
    """Return an amount of memory or disk with about two figures."""
    if mb < 1000:
        return f"{mb:.1f} MB" if mb < 10 else f"{mb:.0f} MB"
    return f"{mb / 1024:.1f} GB"
