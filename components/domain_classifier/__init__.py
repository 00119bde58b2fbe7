"""The classifier that tells the non-dominant domains apart (SSCTL, section 3.2)."""
