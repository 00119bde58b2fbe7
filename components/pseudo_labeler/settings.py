"""What the pseudo-labels' table is made of; Eq. 3 itself has nothing to set."""

LABELS_FILE = "labels.parquet"
CONFIDENCE_BINS = 20
