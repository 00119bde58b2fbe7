"""Impressions, positives and smoothed click rate of every item, from the training split only."""
