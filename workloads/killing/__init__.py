"""Kills worker processes while they bring a library up to date, and examines the library afterwards."""
