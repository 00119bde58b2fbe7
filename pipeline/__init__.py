"""Config, the graph, the local runner, the command line and the report."""
