"""Raw logs become tf.Examples: read by pyarrow, checked, split, written as TFRecords."""
