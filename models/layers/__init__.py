"""Keras 3 layers, one or a small family a file."""
