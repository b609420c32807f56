"""What the jobs of a partition are known by in the catalog."""


def partition_subject(model_key: str, shard_key: str) -> str:
    """The subject of an embedding job: the partition's key as Dagster writes it."""
    return f"{model_key}|{shard_key}"
