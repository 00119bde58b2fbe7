"""Plug-ins that change an architecture's parts, one a file; a file's name is the name in a config."""
