"""crackcli: find, measure and compare cracks on photographs of any size.

One bit per photograph (crack / no crack) trains a classifier. An attribution method explains its
decision pixel by pixel: this locates the crack. Its width is measured on the photograph.
"""

__version__ = "0.2.0"
