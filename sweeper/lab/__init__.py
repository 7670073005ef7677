"""Pages and studies that teach the lecture: update rules at work on small losses, without a sweep."""
