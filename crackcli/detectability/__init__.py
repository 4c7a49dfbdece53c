"""Detection limits: the narrowest crack that would be found or measured, block by block."""

from crackcli.detectability.assessment import Assessed, assess
from crackcli.detectability.statements import statement

__all__ = ["Assessed", "assess", "statement"]
