"""The catalog of all images: the ORM, the engine, the migrations and the leases.

The lowest layer: it does not depend on Dagster, the stores or the models.
"""
