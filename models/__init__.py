"""The models: layers, architectures, learning methods, and the trainer that runs them."""

import os

# What `tf.keras` means is settled when it is first used: TFRS and TFT need the legacy one, ours is `keras`.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
