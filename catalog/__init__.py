"""The records of processed data, and the client that asks for them."""
