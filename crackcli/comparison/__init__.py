"""crackcli compare: matches the cracks of two reports: new, grown, stable or gone."""
