"""The store's schema, one step a version."""
