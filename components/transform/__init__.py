"""The preprocessing graph of the stock Transform: one for training and serving."""
