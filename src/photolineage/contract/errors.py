"""Errors for a schema that could not be compared. None of them means that the schema is wrong."""


class ContractError(RuntimeError):
    """The schema could not be compared; the message says why and what to do."""


class UnsupportedDatabaseError(ContractError):
    """The contract does not support this dialect or this version of the database."""


class MissingPrivilegeError(ContractError):
    """The role may not create the scratch schema; the message names the privilege and the GRANT statement."""


class ReadOnlyDatabaseError(ContractError):
    """The server or the transaction is read-only, so the scratch schema cannot be created."""


class ShadowSchemaError(ContractError):
    """The database refuses a definition in the metadata, so the expected schema cannot be created."""
