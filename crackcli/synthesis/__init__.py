"""Draws synthetic cracks, distractors and walls.

cover          paths of known width, their exact coverage of pixels, and painting
random_cracks  random paths; drawn_cracks: courses and appearances on a photograph
joint_cracks   cracks in the joints of masonry that a photograph shows or that is drawn
distractors    a package: families of things that resemble cracks; brushes draw them
visibility     if a person could see a drawn crack; blur and grain of a photograph
surfaces       walls from scratch: brick and plaster
known_cracks   single cracks of one known width, for a self-test
twins          a crack-free photograph with a crack, or with distractors
"""

from crackcli.synthesis.known_cracks import known_crack
from crackcli.synthesis.random_cracks import random_crack
from crackcli.synthesis.twins import cracked_twin, distracted_twin

__all__ = ["cracked_twin", "distracted_twin", "known_crack", "random_crack"]
