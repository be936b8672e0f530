"""Where functions run, one file each."""
