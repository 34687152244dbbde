"""The one test-time path, and which restorer a file gets. Called by commands, methods and served models."""
