"""Importing lancedb without what a local table has no use for: three quarters of its time (1.2 s of 1.6 s)."""

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

_CLIENT: Final = "lance_namespace_urllib3_client"


def lighten_import() -> None:
    """Let lancedb, when it is imported after this, leave out the REST client of remote catalogs, and a check of itself.

    Of the client it needs the names of the models, for annotations; its modules run when something of it is used.
    Before Python 3.12 it takes `override` from a package that compares the signatures of a hundred of its methods with
    those of their base classes; from then on that of `typing`, which compares nothing, as here.
    """
    if _CLIENT in sys.modules or importlib.util.find_spec(_CLIENT) is None:
        return
    _defer(_CLIENT, lambda name, load: getattr(load(), name))
    _defer(f"{_CLIENT}.models", _deferred_class)
    if sys.version_info < (3, 12):
        import overrides
        from typing_extensions import override

        overrides.override = override  # type: ignore[assignment]


def _defer(module_name: str, give: Callable[[str, Callable[[], ModuleType]], Any]) -> None:
    """Put the module among the imported ones, and run it when `give` loads it to give a name of it (PEP 562)."""
    spec = importlib.util.find_spec(module_name)
    if spec is None or spec.loader is None:
        return
    module, loader = importlib.util.module_from_spec(spec), spec.loader

    def load() -> ModuleType:
        if vars(module).pop("__getattr__", None) is not None:
            loader.exec_module(module)
        return module

    def give_name(name: str) -> Any:
        _require_plain(name)
        return give(name, load)

    vars(module)["__getattr__"] = give_name
    sys.modules[module_name] = module


class _DeferredClass(type):
    """A class that stands for another one, which is loaded when it is called, asked, or looked into."""

    load: Callable[[], ModuleType]

    def _real(cls) -> type:
        real: type = getattr(cls.load(), cls.__name__)
        return real

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        return cls._real()(*arguments, **named)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls._real())

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls._real())

    def __getattr__(cls, name: str) -> Any:
        _require_plain(name)
        return getattr(cls._real(), name)


def _deferred_class(name: str, load: Callable[[], ModuleType]) -> type:
    return _DeferredClass(name, (), {"load": staticmethod(load)})


def _require_plain(name: str) -> None:
    """What reads annotations looks for names such as `__origin__`, on everything."""
    if name.startswith("__"):
        raise AttributeError(name)
