"""Tools for the Helm chart."""
