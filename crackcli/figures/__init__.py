"""Charts and image sheets drawn with OpenCV."""

from crackcli.figures.chart import Axes, Canvas

__all__ = ["Axes", "Canvas"]
