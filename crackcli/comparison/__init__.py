"""crackcli compare: cracks of two reports matched; what is new, grown, stable or gone."""
