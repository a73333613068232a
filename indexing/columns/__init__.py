"""Metadata by column: what filters and facets look at instead of the JSON of every document."""
