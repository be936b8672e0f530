"""Reading the files that people write: with positions, all mistakes at once, watched for changes."""
