"""Tours with clients that nobody here wrote."""
