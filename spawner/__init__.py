"""One Spawner for the Hub; a site is where its servers run."""
