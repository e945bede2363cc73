"""Speed: ratios measured in one run, printed as JSON lines."""
