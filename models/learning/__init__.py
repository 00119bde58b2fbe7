"""Learning methods, one a file; a file's name is the name in a config."""
