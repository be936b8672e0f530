"""From a file that is complete on storage to its published result."""
