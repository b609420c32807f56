"""Images become events, by time, place and looks."""
