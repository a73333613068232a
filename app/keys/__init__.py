"""Keys of programs that use collections over HTTP and MCP: only hashes of them are kept."""
