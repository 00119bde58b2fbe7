"""Positives on unpopular items of major domains, as positives of minor ones (AREAD, section 2.5)."""
