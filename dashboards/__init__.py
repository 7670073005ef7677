"""What shows sweeps while they run: the live page, settings of Prometheus, dashboards of Grafana.

The page computes nothing: every number, text and figure comes from `sweeper.analysis`. `app` puts it
together, `guard` decides who may see it, `serving` listens; `address` is what a URL asks for; `listed`,
`head`, `trials`, `lecture` and `blocks` are what is seen, `screens` sends what of it has changed, `callbacks`
asks for it; `downloads` gives files.
"""
