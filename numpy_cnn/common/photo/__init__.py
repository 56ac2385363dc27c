"""A user's picture turned into an input of the network."""
