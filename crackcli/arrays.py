"""Array types by element; docstrings give the shapes."""

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
UInt8 = NDArray[np.uint8]
Int64 = NDArray[np.int64]
Float16 = NDArray[np.float16]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Floats = NDArray[np.floating]  # float32 or float64
