"""What shows sweeps while they run: settings of Prometheus, dashboards of Grafana."""
