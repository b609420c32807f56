"""Groups images into events by time, place and looks."""
