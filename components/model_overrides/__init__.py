"""ModelOverrides: the model that a run was started with, where it is not the config's."""
