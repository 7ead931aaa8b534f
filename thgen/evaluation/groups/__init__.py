"""Ways to measure a method, person by person: what reports have in common, and how results are kept."""
