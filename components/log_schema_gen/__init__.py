"""The schema of the tf.Examples: curated where a person reviewed it, inferred and saved for review where not."""
