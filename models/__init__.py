"""The models: layers, architectures, learning methods, and the trainer that runs them."""
