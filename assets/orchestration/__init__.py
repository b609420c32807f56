"""Everything that runs the assets: jobs, sensors, schedules, the run queue and the run launcher."""
