"""The schema of the tf.Examples: a curated file, or one inferred and saved for review."""
