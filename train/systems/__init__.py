"""The systems of the papers compared: ways to enlarge a plane, experiments, and the report."""
