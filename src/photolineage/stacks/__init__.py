"""Stacks: photos of one shot, such as a RAW and its JPEG, an edited copy or a burst. One shows, all are kept."""
