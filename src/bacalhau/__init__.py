"""Compute over data: containers go to where the data is."""
