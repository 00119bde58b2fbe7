"""What a log row is: features, domain, label and time as one typed object, and the readers of raw logs."""
