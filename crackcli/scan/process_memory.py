"""The memory that this process holds."""

import sys
from pathlib import Path

MB = 1024**2


def peak_memory_mb() -> float | None:
    """Return the most memory (MB) this process has held so far; None if the system cannot say."""
    try:
        import resource
    except ModuleNotFoundError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1)


def resident_mb() -> float:
    """Return the memory (MB) this process holds now; its peak where /proc does not exist."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (ModuleNotFoundError, OSError, ValueError, IndexError):
        return peak_memory_mb() or 0.0
    return pages * resource.getpagesize() / MB
