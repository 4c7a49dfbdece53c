"""crackcli: finds, measures and compares cracks on photographs of any size.

One bit per photograph (crack / no crack) trains a classifier; its decision is explained pixel by
pixel; the explanation says where a crack is, the photograph says how wide.
"""

__version__ = "0.1.0"
