"""Processed data, live, in a notebook."""
