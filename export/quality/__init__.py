"""Quality: whether a norm tells good photos from poor ones, and the curve and gates from it."""
