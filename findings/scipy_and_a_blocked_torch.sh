#!/usr/bin/env bash
# sys.modules["torch"] = None is Python's own way to say that a module must not be imported: the
# import statement then raises ModuleNotFoundError, as if it were not installed. Tests use it to show
# that a program runs without an optional library. With it, functions of scipy.stats fail, although
# torch is not installed and scipy does not need it: to tell what arrays it was given, scipy looks
# "torch" up in sys.modules, finds the key, and asks None for its Tensor. scipy.special is not
# affected.
#
# One would guess that a library that is blocked is like one that is missing.
#
# Seen with scipy 1.17.1 and numpy 2.4.3, without torch:
#   missing: norm.sf(1.0) = 0.158655
#   blocked: norm.sf(1.0): AttributeError: 'NoneType' object has no attribute 'Tensor'
#   blocked: ndtr(-1.0) = 0.158655
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.3
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys
from importlib.util import find_spec

import numpy
import scipy

print("scipy", scipy.__version__, "numpy", numpy.__version__)
assert find_spec("torch") is None, "torch is installed"

BLOCK = "import sys; sys.modules['torch'] = None; "
STATS = "from scipy.stats import norm; print(f'{norm.sf(1.0):.6f}')"
SPECIAL = "from scipy.special import ndtr; print(f'{ndtr(-1.0):.6f}')"


def last_line(program):
    """The last line that a Python of its own prints: a result, or the error."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines()[-1]


missing, blocked, special = (last_line(text) for text in (STATS, BLOCK + STATS, BLOCK + SPECIAL))
print("missing: norm.sf(1.0) =", missing)
print("blocked: norm.sf(1.0):", blocked)
print("blocked: ndtr(-1.0) =", special)
assert missing == special == "0.158655"
assert blocked.startswith("AttributeError"), "scipy now takes a blocked torch for a missing one"
PYTHON
