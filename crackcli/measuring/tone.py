"""Tone curve of a photograph: the values in which a pixel mixes what it covers.

A pixel on the edge of a crack covers some of the surface and some of the crack. Light adds up in
the sensor, before the camera encodes it (sRGB: about a square root), so area fractions are
fractions of *linear* light. Taken from encoded values, a half-covered pixel between 160 and 50
reads as a third covered, and a hairline of 1 px as 0.7. But not all pixels were mixed in a sensor:
images that were resampled, drawn or sharpened later were mixed as encoded. So the mix is a number,
the linear fraction f: 1 for linear light, 0 for encoded values. Values are

    f * linear light + (1 - f) * encoded value

with the transfer function of sRGB (`crackcli.rasters.srgb`).

Edges show which one it is: with the correct f an edge is as soft on its dark side as on its bright
side (`crackcli.measuring.edges`). Linear light is assumed where a photograph has no suitable
edges. The probability that it is of the other kind is reported beside the widths and is no part of
their uncertainty: it is no spread about a mean, but a yes or no that all widths of a photograph
share. As a part of the uncertainty it would be too much for every photograph of a camera, and not
enough for any other.
"""

from dataclasses import dataclass

# Standard uncertainty of the linear fraction within one kind of photograph: widths with it differ
# as much as between sRGB and a plain power of 2.2, which are both in use.
KIND_SIGMA = 0.02


@dataclass(frozen=True)
class ToneCurve:
    """Tone curve of a photograph.

    ``linear_fraction`` is 0 to 1; ``sigma`` is its standard uncertainty within photographs of this
    kind; ``doubt`` is the probability that the photograph is of the other kind.
    """

    linear_fraction: float = 1.0
    sigma: float = KIND_SIGMA
    doubt: float = 0.0


TONE_CURVES = {"linear": ToneCurve(1.0, KIND_SIGMA), "encoded": ToneCurve(0.0, KIND_SIGMA)}
