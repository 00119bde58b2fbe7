"""Finds the model that serves now, to compare a new one with."""
