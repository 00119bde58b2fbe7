"""`mdr serve`: answers TF Serving's gRPC and REST messages where no TF Serving is installed."""
