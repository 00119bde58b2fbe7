"""Measures a model, and the one that serves, on the same test rows: overall and by domain."""
