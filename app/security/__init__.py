"""Who calls and what they may (keys, scopes, limits), and what keeps the data private."""
