"""Everything that lapidicom needs, checked one by one, each failure with its remedy."""
