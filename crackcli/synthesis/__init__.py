"""Drawing cracks, and what is no crack: for training twins, for sample data, for self-tests.

cover          paths of known width, their exact coverage of pixels, paint
random_cracks  inventing paths; drawn_cracks: courses and looks on a photograph
distractors    families of what is no crack: joints, marks, things; brushes draw them
visibility     whether a person could see what was drawn; a photograph's blur and grain
surfaces       walls from nothing: brick and plaster
known_cracks   single cracks of one known width, for a self-test
twins          a crack-free photograph with a crack, or with distractors
"""
