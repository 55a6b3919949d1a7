"""Landing: what sources sent, byte for byte, and how it is read."""
