"""Why the contract could not be verified. None of these says that the schema is wrong."""


class ContractError(RuntimeError):
    """The contract could not be verified; the message says why and what to do."""


class UnsupportedDatabaseError(ContractError):
    """The dialect, or the version of the server, is not one that the contract knows how to read."""


class MissingPrivilegeError(ContractError):
    """The role may not create the scratch schema; the message names the right and how to grant it."""


class ReadOnlyDatabaseError(ContractError):
    """The server or the transaction is read-only, so no scratch schema can be created."""


class ShadowSchemaError(ContractError):
    """The server refuses the model's own definitions, so there is nothing to compare with."""
