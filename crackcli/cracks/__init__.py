"""Traces the cracks of a mask: skeleton, centreline, outline, length, width; finds joints."""

from crackcli.cracks.crack import Crack
from crackcli.cracks.tracing import trace

__all__ = ["Crack", "trace"]
