"""The most that a traced program holds at a time, without compiling it.

Its operations run one after the other in the order of the trace; an array goes after its last use,
and what an operation makes stands beside what it reads. A compiler fuses, so that many arrays never
exist, and may choose another order: what it sets aside is usually less, and on top come its scratch
memory and padding. Unlike a compiler's figure this one takes seconds and depends on no backend.
"""

from __future__ import annotations

from typing import Any

import jax
from jax.extend import core


def traced_peak(function: Any, *arguments: Any, donated: bool = True) -> float:
    """Bytes that a call holds at most: arguments, results and all in between.

    Args:
      function: of pytrees of arrays.
      *arguments: arrays or shapes.
      donated: the memory of arguments is used again after their last use.
    """
    jaxpr = jax.make_jaxpr(function)(*arguments).jaxpr
    own = sum(map(_size, (*jaxpr.invars, *jaxpr.constvars)))
    return own + _beside(jaxpr, freed=donated)


def _beside(jaxpr: Any, *, freed: bool = False) -> int:
    """Bytes at most beside the arguments, which somebody else holds unless they are freed."""
    last: dict[Any, int] = {}
    for place, equation in enumerate(jaxpr.eqns):
        last |= {x: place for x in equation.invars if isinstance(x, core.Var)}
    last |= {x: len(jaxpr.eqns) for x in jaxpr.outvars if isinstance(x, core.Var)}
    held = set() if freed else {*jaxpr.invars, *jaxpr.constvars}
    live = most = 0
    for place, equation in enumerate(jaxpr.eqns):
        made = sum(map(_size, equation.outvars))
        inside = max((_beside(inner) for inner in _inner(equation.params.values())), default=0)
        most = max(most, live + max(made, inside))
        live += made
        gone = {x for x in equation.invars if isinstance(x, core.Var) and last[x] == place}
        gone |= {x for x in equation.outvars if x not in last}
        live -= sum(_size(x) for x in gone - held)
    return most


def _inner(values: Any) -> list[Any]:
    """The programs among the parameters of an operation: of calls, loops and branches."""
    found = []
    for value in values:
        if isinstance(value, core.ClosedJaxpr):
            found.append(value.jaxpr)
        elif isinstance(value, core.Jaxpr):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += _inner(value)
    return found


def _size(variable: Any) -> int:
    shape = getattr(variable.aval, "shape", None)
    return 0 if shape is None else variable.aval.size * variable.aval.dtype.itemsize
