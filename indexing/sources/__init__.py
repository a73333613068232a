"""Sources: folders that a collection is kept in step with."""
