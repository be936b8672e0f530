"""The kinds of sites, one file each."""
