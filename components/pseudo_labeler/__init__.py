"""Rows of dominant domains as rows of the domain that each looks most like (SSCTL, section 3.2)."""
