"""What is known about every image: the ORM, the engine, the migrations and the leases.

The lowest layer. It knows nothing of Dagster, of files or of models.
"""
