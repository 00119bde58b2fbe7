"""Realistic logs of many domains, generated from a model whose true click probabilities are known."""
