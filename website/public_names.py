"""Every public name has a docstring and a place in the API reference, or the build fails."""

import inspect
import logging
import re
from typing import Any

import pams_tf
import pams_tf.models
import pams_tf.quantization

_LOG = logging.getLogger("mkdocs.hooks.public_names")
_PUBLIC = (pams_tf, pams_tf.models, pams_tf.quantization, pams_tf.quantization.functional)
_documented: set[str] = set()


def on_pre_build(**_: Any) -> None:
    """Forget the pages of an earlier build; `mkdocs serve` builds again and again."""
    _documented.clear()


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Note which names the page documents."""
    if page.file.src_uri.startswith("api/"):
        _documented.update(re.findall(r"^::: ([\w.]+)", markdown, re.MULTILINE))
    return markdown


def on_env(env: Any, **_: Any) -> Any:
    """Warn, which ends a strict build, of each public name that is not documented."""
    for module in _PUBLIC:
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.ismodule(value) or name == "__version__":
                continue
            if not inspect.getdoc(value):
                _LOG.warning("%s.%s has no docstring", module.__name__, name)
            if not _paths(value, name) & _documented:
                _LOG.warning("%s.%s is on no page in docs/api", module.__name__, name)
            for method in _methods(value):
                if not inspect.getdoc(getattr(value, method)):
                    _LOG.warning("%s.%s.%s has no docstring", module.__name__, name, method)
    return env


def _paths(value: Any, name: str) -> set[str]:
    """What a page may name to document this object: it, and the modules that offer it."""
    homes = {module.__name__ for module in _PUBLIC if getattr(module, name, None) is value}
    return homes | {f"{home}.{name}" for home in homes}


def _methods(value: Any) -> list[str]:
    """The public methods that a class adds to what it inherits from Keras."""
    if not inspect.isclass(value):
        return []
    bases = [base for base in value.__mro__ if not base.__module__.startswith("pams_tf")]
    foreign = {name for base in bases for name in vars(base)}
    return [
        name
        for name, member in vars(value).items()
        if callable(member) and not name.startswith("_") and name not in foreign
    ]
