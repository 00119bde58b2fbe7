"""Files of rows read block by block: CSV, JSON lines, Parquet; every row keeps its line number."""
