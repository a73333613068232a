"""What the tools do; imported when one is called first, as searching is heavier to load than a handshake."""
