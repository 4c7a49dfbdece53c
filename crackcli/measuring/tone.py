"""Tone: from the encoded grey values of a photograph to values in which a pixel mixes what it
shows.

A pixel on the edge of a crack shows some wall and some crack.  Light adds up in the sensor, before
the camera encodes it (sRGB: about a square root), so shares of area are shares of *linear* light.
Taken from encoded values, a half covered pixel between 160 and 50 reads a third covered, and a
hairline of 1 px reads 0.7.  But not all pixels were mixed in a sensor: what was resampled, drawn or
sharpened later was mixed as encoded.  So the mix is a number: ``share`` is 1 for linear light and 0
for encoded values, and values are blended by it.

Which one it is shows in edges: with the right share an edge is as soft on its dark side as on its
bright side (`crackcli.measuring.edges` measures that).  Where a photograph has no edges to tell,
linear light is assumed.  That it is the other kind of picture is a doubt of its own, told beside
the widths and not in their sigma: it is no spread about a mean, but a yes or no that all widths of
a photograph share.  As a part of sigma it would be too much for every photograph that a camera
made, and not enough for any other."""

from dataclasses import dataclass

KNOWN = 0.02  # how far the share of a picture may be off from that of its kind: so much sRGB and a


@dataclass(frozen=True)
class Tone:
    """``share`` of linear light, 0 to 1, and its standard uncertainty in a picture of this kind;
    ``doubt`` is the probability that it is of the other kind."""

    share: float = 1.0
    sigma: float = KNOWN
    doubt: float = 0.0


TONES = {"linear": Tone(1.0, KNOWN), "encoded": Tone(0.0, KNOWN)}
