"""Where the news of complete files comes from, one file each."""
