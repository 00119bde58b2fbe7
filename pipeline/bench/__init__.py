"""Measurements: every table of docs/ comes from here."""
