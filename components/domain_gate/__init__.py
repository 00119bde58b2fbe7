"""Decides, rule by rule and domain by domain, whether a model may be pushed."""
