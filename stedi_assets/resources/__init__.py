"""The resources that hide an environment from the assets."""
