"""crackcli evaluate: every method on labelled photographs, by the paper's protocol and by ours."""
