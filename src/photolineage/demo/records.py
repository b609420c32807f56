"""The records of a demo model's training and evaluation, stored beside its weights."""

from pydantic import BaseModel, ConfigDict

EVALUATION_FILE = "evaluation.json"
TRAINING_FILE = "training.json"


class Training(BaseModel):
    """How a model was trained. `final_loss` is the mean over the last 100 steps; `seconds` excludes drawing."""

    model_config = ConfigDict(frozen=True)

    seed: int
    steps: int
    batch: int
    pictures: int
    learning_rate: float
    view_loss_weight: float
    final_loss: float
    seconds: int
    threads: int
    torch: str
    open_clip: str


class Retrieval(BaseModel):
    """How well texts find pictures, as shares from 0 to 1.

    `recall[k]` is the share of queries with a correct picture among the first k hits. `precision_at_10` is the mean
    share of correct pictures among the first ten. `mean_average_precision` ranks all pictures.
    """

    model_config = ConfigDict(frozen=True)

    queries: int
    pictures: int
    recall: dict[int, float]
    precision_at_10: float
    mean_average_precision: float


class Evaluation(BaseModel):
    """A model's figures. `weights_sha256` is the digest of the measured weights file."""

    model_config = ConfigDict(frozen=True)

    weights_sha256: str
    megabytes: float
    embedding_dim: int
    held_out_pictures: int
    zero_shot_accuracy: float
    held_out_names: Retrieval
    held_out_captions: Retrieval
    held_out_paraphrases: Retrieval
    copies_found_first: float
    library_names: Retrieval
    library_captions: Retrieval
