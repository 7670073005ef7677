"""Trains one trial: the images (`data`), the networks (`models`) and the loop (`loop`).

Everything here is pure in its inputs: no store, no Ray, no result that depends on global random state.
`data` and what it reads are free of torch, so that the coordinator can load the images without importing it.
"""
