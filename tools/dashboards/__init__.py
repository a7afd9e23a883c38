"""The Grafana dashboards: what they show, and the program that writes their JSON."""
