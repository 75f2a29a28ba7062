"""What a search should find, by plain Python over all resources; it shares no code with the server."""
