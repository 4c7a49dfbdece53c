"""."""
DISTRACTORS={}
def chosen(rng,most): return []
