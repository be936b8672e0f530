"""In each notebook server: the page's way to processed data."""
