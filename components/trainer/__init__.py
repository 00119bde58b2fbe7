"""TFX's Trainer, which may also get the pushed model to begin from."""
