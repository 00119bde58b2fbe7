"""The cluster runner."""
