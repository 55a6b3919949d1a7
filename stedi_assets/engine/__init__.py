"""The Spark engine: embedded by default, any Spark Connect server by setting."""
