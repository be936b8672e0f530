"""The service's HTTP API, one file a noun."""
