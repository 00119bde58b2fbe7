"""TFX components; each folder holds its Beam transform and its thin TFX wrapper."""
