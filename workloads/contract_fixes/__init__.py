"""Random drifts of tables with hard values, whose fixes must not lose or change a value."""
