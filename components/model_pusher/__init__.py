"""Pushes a blessed model: staged, loaded once, compared, renamed to a version that only grows."""
