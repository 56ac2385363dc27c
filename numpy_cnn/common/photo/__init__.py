"""Conversion of a user's picture to an input of the network."""
