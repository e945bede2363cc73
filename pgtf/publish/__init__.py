"""Uses of a finished generator: reference sets, directions, web pages, hubs."""
