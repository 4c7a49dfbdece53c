"""crackcli evaluate: compares methods on labelled photographs."""
