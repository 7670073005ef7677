"""The lecture's laboratory: the gradient check and the loss landscapes."""
